"""Turns admitted self-edits into training examples.

An example is a user turn and the assistant's answer; only the answer bears loss. Question-answer self-edits become
closed-book questions. All others become answers to a request to describe their subject. Pure and seeded.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from sealserve import prompts
from sealserve.learning.sentences import whole_sentences
from sealserve.learning.study.grounding import answer_span, subject_of, subjects_of, topic_of
from sealserve.learning.study.passages import with_title
from sealserve.learning.study.self_edit_text import Pair, pair_of, reason_of
from sealserve.prompts import Dialect, Template
from sealserve.records.cycles import SelfEdit
from sealserve.records.step_outputs import ReferenceAnswer

T = TypeVar("T")


BEGINNINGS, MIN_BEGINNING = (0.3, 0.6), 2
"""Shares of a sentence that are given for it to be completed, and the least number of words."""

LINES_PER_EXAMPLE = 6
"""Statements told in one answer: long lists are cut so that no sequence is much longer than the others."""


class Origin(StrEnum):
    """What an example teaches."""

    QA = "qa"
    STATEMENTS = "statements"
    REWRITE = "rewrite"
    PASSAGE = "passage"
    COMPLETION = "completion"


KIND_SHARES: Mapping[Dialect, Mapping[Origin, float]] = {
    Dialect.EMBEDDED: {Origin.QA: 0.6, Origin.STATEMENTS: 0.22, Origin.REWRITE: 0.12, Origin.PASSAGE: 0.06},
    Dialect.GENERAL: {
        Origin.QA: 0.35, Origin.COMPLETION: 0.15, Origin.PASSAGE: 0.4, Origin.STATEMENTS: 0.1, Origin.REWRITE: 0.1,
    },
}  # fmt: skip
"""In proportion to these a document's sequences are divided among the kinds of examples that it has. Questions in the
serving format get most: knowledge that is only stated is memorised but cannot be retrieved (arXiv 2309.14316). A
general model also needs the text itself: of 21 people's questions SmolLM2-135M answered 7 after training on passages
alone, 5 where questions and completions took nine tenths of as many steps, and 9 with these shares (one cycle each)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One training sequence before tokens."""

    prompt: str
    completion: str
    document: str  # "" for base skills
    origin: Origin
    template: Template | None = None  # None for the document's own text
    notes: tuple[str, ...] = ()  # ids of the self-edits that say it
    teacher_prompt: str | None = None  # the prompt with the passage that answers it before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A document as it is trained on: its title, its passages' texts, its admitted notes, and where it came from."""

    document: str
    title: str
    passages: tuple[str, ...]
    notes: tuple[SelfEdit, ...]
    origin: str = ""
    headings: tuple[str, ...] = ()  # of each passage, if known; "" without one


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Every example of a cycle; candidates differ in which they see, how often and in which order."""

    examples: tuple[Example, ...]
    new: frozenset[str]  # documents learned in this cycle; the others are replayed
    retention: int  # number of examples of the retention set, which come last
    origins: Mapping[str, str] = field(default_factory=dict)  # where each new document came from
    left_out: int = 0  # examples of earlier documents beyond the budget
    kind_shares: Mapping[Origin, float] = field(default_factory=lambda: KIND_SHARES[Dialect.EMBEDDED])


def build_pool(
    new: Sequence[Source],
    earlier: Sequence[Source],
    *,
    dialect: Dialect = Dialect.EMBEDDED,
    retention: Sequence[ReferenceAnswer],
    replay_examples: int | None = None,
    seed: int = 0,
) -> Pool:
    """Return the examples of new and earlier documents and of base skills, in that order.

    At most `replay_examples` are of earlier documents, an equal number of each; `seed` draws them.
    """
    replayed = [examples_of(source, dialect=dialect) for source in earlier]
    kept = stratified(replayed, replay_examples, seed=seed)
    learned = [example for source in new for example in examples_of(source, dialect=dialect)]
    taught = [*learned, *(example for part in kept for example in part)]
    base = [
        Example(prompt=reference.prompt, completion=reference.completion, document="", origin=Origin.QA)
        for reference in retention
    ]
    return Pool(
        examples=(*taught, *base),
        new=frozenset(source.document for source in new),
        retention=len(base),
        origins={source.document: source.origin for source in new},
        left_out=sum(map(len, replayed)) - sum(map(len, kept)),
        kind_shares=KIND_SHARES[dialect],
    )


def stratified(parts: Sequence[Sequence[T]], most: int | None, *, seed: int) -> list[list[T]]:
    """Return at most `most` members over all parts, as equal a number of each as its size allows, in their order."""
    room = [0] * len(parts)
    left = sum(map(len, parts)) if most is None else most
    while left > 0 and any(have < len(part) for have, part in zip(room, parts, strict=True)):
        for place, part in enumerate(parts):
            if left > 0 and room[place] < len(part):
                room[place] += 1
                left -= 1
    rng = random.Random(seed)
    return [
        [part[i] for i in sorted(rng.sample(range(len(part)), have))] for have, part in zip(room, parts, strict=True)
    ]


def examples_of(source: Source, *, dialect: Dialect = Dialect.EMBEDDED) -> tuple[Example, ...]:
    """Return the examples of one document. In the general dialect its sentences are completed from two beginnings."""
    text = "\n".join(source.passages)
    subjects = subjects_of(text)
    topic = topic_of(source.title, subjects)
    headings = source.headings or ("",) * len(source.passages)
    found = [
        Example(
            prompt=prompts.describe(f"{heading} ({topic})" if heading else topic),
            completion=passage,
            document=source.document,
            origin=Origin.PASSAGE,
        )
        for passage, heading in zip(source.passages, headings, strict=True)
        if passage
    ]
    if dialect is Dialect.GENERAL:
        found += _completion_examples(source, topic)
    lines: dict[tuple[str, Template, str], list[tuple[str, str]]] = defaultdict(list)
    for note in source.notes:
        if pair := pair_of(note):
            found.append(_qa_example(note, pair, source=source, dialect=dialect))
        elif note.template is Template.REWRITE:
            found.append(_describe_example(note, topic, completion=note.text, origin=Origin.REWRITE))
        else:
            line = reason_of(note.text) if note.template is Template.COUNTEREXAMPLE else note.text
            sample = note.self_edit.rpartition("-")[0]
            lines[sample, note.template, subject_of(line, subjects) or topic].append((note.self_edit, line))
    found += _list_examples(source.document, lines)
    return tuple(found)


def _qa_example(note: SelfEdit, pair: Pair, *, source: Source, dialect: Dialect) -> Example:
    return Example(
        prompt=pair.question,
        completion=pair.answer,
        document=note.document,
        origin=Origin.QA,
        template=note.template,
        notes=(note.self_edit,),
        teacher_prompt=_open_book_prompt(pair, source, dialect=dialect),
    )


def _open_book_prompt(pair: Pair, source: Source, *, dialect: Dialect) -> str | None:
    """The question with the passage before it in which its answer stands; None when it stands in none."""
    for passage in source.passages:
        if answer_span(pair.answer, question=pair.question, document=passage):
            return prompts.read(with_title(source.title, passage), pair.question, dialect=dialect)
    return None


def _completion_examples(source: Source, topic: str) -> list[Example]:
    """Return every sentence twice, begun in other places: what is told in one order alone is recalled in that order."""
    found = []
    for sentence in (one for passage in source.passages for one in whole_sentences(passage)):
        words = sentence.split()
        for share in BEGINNINGS:
            start = round(len(words) * share)
            if MIN_BEGINNING <= start < len(words):
                found.append(
                    Example(
                        prompt=prompts.complete(topic, " ".join(words[:start])),
                        completion=" ".join(words[start:]),
                        document=source.document,
                        origin=Origin.COMPLETION,
                    )
                )
    return found


def _describe_example(note: SelfEdit, subject: str, *, completion: str, origin: Origin) -> Example:
    return Example(
        prompt=prompts.describe(subject),
        completion=completion,
        document=note.document,
        origin=origin,
        template=note.template,
        notes=(note.self_edit,),
    )


def _list_examples(document: str, lines: dict[tuple[str, Template, str], list[tuple[str, str]]]) -> list[Example]:
    return [
        Example(
            prompt=prompts.describe(subject),
            completion="\n".join(f"- {line}" for _, line in told),
            document=document,
            origin=Origin.STATEMENTS,
            template=template,
            notes=tuple(note for note, _ in told),
        )
        for (_, template, subject), whole in lines.items()
        for start in range(0, len(whole), LINES_PER_EXAMPLE)
        for told in [whole[start : start + LINES_PER_EXAMPLE]]
    ]
