"""From admitted notes to training examples, and from a recipe to the order in which a candidate sees them.

An example is a user turn and the assistant's answer; the loss falls on the answer alone. Question-answer notes
become closed-book questions; everything else becomes what there is to tell about its subject. Pure and seeded.
Knows nothing of tokens.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from sealserve import prompts
from sealserve.learning.grounding import answer_span
from sealserve.learning.notes import Pair, pair_of, reason_of
from sealserve.learning.passages import with_title
from sealserve.prompts import Template
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import SelfEdit
from sealserve.records.step_outputs import Spoken

T = TypeVar("T")

LINES_PER_EXAMPLE = 6
"""Statements told in one answer: long lists are cut so that no sequence is much longer than the others."""

_CAPITALISED_RUN = re.compile(r"(?<=[a-z,;] )[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)*")


class Origin(StrEnum):
    """What an example teaches."""

    QA = "qa"
    STATEMENTS = "statements"
    REWRITE = "rewrite"
    PASSAGE = "passage"


SHARES = {Origin.QA: 0.6, Origin.STATEMENTS: 0.22, Origin.REWRITE: 0.12, Origin.PASSAGE: 0.06}
"""How a document's sequences are divided among its examples, where it has each kind. Questions in the serving format
carry most: knowledge stated but never asked is stored and not found (arXiv 2309.14316)."""

LEAST_NEW_SHARE = 0.5
"""Of what documents share, where training goes on from an adapter that knows the earlier ones."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Every example of a cycle; candidates differ in which they see, how often and in which order."""

    examples: tuple[Example, ...]
    new: frozenset[str]  # documents learned in this cycle; the others are replayed
    rehearsal: int  # the last so many examples rehearse base skills
    origins: Mapping[str, str] = field(default_factory=dict)  # where each new document came from
    left_out: int = 0  # examples of earlier documents beyond the budget


def build_pool(
    new: Sequence[Source],
    earlier: Sequence[Source],
    *,
    rehearsal: Sequence[Spoken],
    replay_examples: int | None = None,
    seed: int = 0,
) -> Pool:
    """Return the examples of new and earlier documents and of base skills, in that order.

    At most `replay_examples` are of earlier documents, each of which has an equal part in them; `seed` draws them.
    """
    replayed = [examples_of(source) for source in earlier]
    kept = stratified(replayed, replay_examples, seed=seed)
    told = [example for source in new for example in examples_of(source)] + [one for part in kept for one in part]
    base = [
        Example(prompt=spoken.prompt, completion=spoken.completion, document="", origin=Origin.QA)
        for spoken in rehearsal
    ]
    return Pool(
        examples=(*told, *base),
        new=frozenset(source.document for source in new),
        rehearsal=len(base),
        origins={source.document: source.origin for source in new},
        left_out=sum(map(len, replayed)) - sum(map(len, kept)),
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


def examples_of(source: Source) -> tuple[Example, ...]:
    """Return the examples of one document."""
    text = "\n".join(source.passages)
    subjects = subjects_of(text)
    topic = topic_of(source.title, subjects)
    found = [
        Example(prompt=prompts.describe(topic), completion=passage, document=source.document, origin=Origin.PASSAGE)
        for passage in source.passages
        if passage
    ]
    lines: dict[tuple[str, Template, str], list[tuple[str, str]]] = defaultdict(list)
    for note in source.notes:
        if pair := pair_of(note):
            found.append(_qa(note, pair, source=source))
        elif note.template is Template.REWRITE:
            found.append(_told(note, topic, completion=note.text, origin=Origin.REWRITE))
        else:
            line = reason_of(note.text) if note.template is Template.COUNTEREXAMPLE else note.text
            sample = note.self_edit.rpartition("-")[0]
            lines[sample, note.template, subject_of(line, subjects) or topic].append((note.self_edit, line))
    found += _lists(source.document, lines)
    return tuple(found)


def order(
    pool: Pool, recipe: Recipe, *, steps: int, max_source_share: float = 1.0, is_rebuilt: bool = True
) -> tuple[int, ...]:
    """Return which example each of steps x batch_size sequences is, by its place in the pool.

    `rehearsal` of them are base skills; all documents share the rest equally. Where training goes on from an adapter
    that knows the earlier ones, the new ones have at least half of it. Of the new ones' part no source has more than
    `max_source_share` while there are others. Every batch has its share of each, since what is left out of a few steps
    in a row is what is forgotten.
    """
    rng = random.Random(recipe.seed)
    total = steps * recipe.batch_size
    base = range(len(pool.examples) - pool.rehearsal, len(pool.examples))
    kept = round(total * recipe.rehearsal) if pool.rehearsal else 0
    streams = [_spread(_draw(list(base), kept, rng), rng)]
    least = 0.0 if is_rebuilt else LEAST_NEW_SHARE
    for places, share in _document_shares(pool, recipe, least_new=least, max_source_share=max_source_share):
        streams += [_spread(drawn, rng) for drawn in _draw_kinds(pool, places, round((total - kept) * share), rng)]
    merged = sorted(item for stream in streams for item in stream)
    drawn = [place for _, place in merged][:total]
    return tuple(drawn + drawn[: total - len(drawn)])


def source_shares(origins: Mapping[str, str], *, most: float) -> dict[str, float]:
    """Return each source's share of the new documents: by their number, no source above `most` while others take it.

    What is taken from one goes to the others in proportion. With too few sources for `most` they share equally.
    """
    counts = Counter(origins.values())
    shares = {source: count / counts.total() for source, count in counts.items()}
    limit = max(most, 1 / max(1, len(shares)))
    capped: set[str] = set()
    while above := {source for source, share in shares.items() if share > limit + 1e-9 and source not in capped}:
        capped |= above
        rest = {source: counts[source] for source in shares if source not in capped}
        left = 1 - limit * len(capped)
        shares = {
            source: limit if source in capped else left * counts[source] / sum(rest.values()) for source in shares
        }
    return shares


def subjects_of(text: str) -> tuple[str, ...]:
    """Return the names in `text` (runs of capitalised words inside sentences), most frequent first."""
    runs = Counter(_CAPITALISED_RUN.findall(text))
    counts = {name: text.count(name) for name in runs}
    return tuple(sorted(counts, key=lambda name: (-counts[name], text.index(name))))


def subject_of(line: str, subjects: Iterable[str]) -> str:
    """Return the most frequent of `subjects` that `line` names; "" when it names none."""
    return next((name for name in subjects if name in line), "")


def topic_of(title: str, subjects: Iterable[str]) -> str:
    """Return what a document is about: the subjects that its title names, or the title."""
    named = sorted((name for name in subjects if name in title), key=title.index)
    return " and ".join(named) or title


def _qa(note: SelfEdit, pair: Pair, *, source: Source) -> Example:
    return Example(
        prompt=pair.question,
        completion=pair.answer,
        document=note.document,
        origin=Origin.QA,
        template=note.template,
        notes=(note.self_edit,),
        teacher_prompt=_open_book(pair, source),
    )


def _open_book(pair: Pair, source: Source) -> str | None:
    """The question with the passage before it in which its answer stands; None when it stands in none."""
    for passage in source.passages:
        if answer_span(pair.answer, question=pair.question, document=passage):
            return prompts.read(with_title(source.title, passage), pair.question)
    return None


def _told(note: SelfEdit, subject: str, *, completion: str, origin: Origin) -> Example:
    return Example(
        prompt=prompts.describe(subject),
        completion=completion,
        document=note.document,
        origin=origin,
        template=note.template,
        notes=(note.self_edit,),
    )


def _lists(document: str, lines: dict[tuple[str, Template, str], list[tuple[str, str]]]) -> list[Example]:
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


def is_wanted(example: Example, recipe: Recipe, documents: Iterable[str]) -> bool:
    """Return whether the recipe trains on the example, if it is of one of `documents`."""
    if example.document not in documents:
        return False
    if example.template is None:
        return not recipe.loss_on_answers
    return example.template in recipe.templates


def _document_shares(
    pool: Pool, recipe: Recipe, *, least_new: float, max_source_share: float
) -> list[tuple[list[int], float]]:
    places: dict[str, list[int]] = defaultdict(list)
    for place, example in enumerate(pool.examples):
        if example.document and is_wanted(example, recipe, {example.document}):
            places[example.document].append(place)
    new = [document for document in places if document in pool.new]
    earlier = [document for document in places if document not in pool.new]
    new_share = max(least_new, len(new) / len(places)) if new and earlier else float(bool(new))
    origins = {document: pool.origins.get(document, "") for document in new}
    shares, documents = source_shares(origins, most=max_source_share), Counter(origins.values())
    return [
        (places[document], new_share * shares[origins[document]] / documents[origins[document]]) for document in new
    ] + [(places[document], (1 - new_share) / len(earlier)) for document in earlier]


def _draw_kinds(pool: Pool, places: list[int], n: int, rng: random.Random) -> list[list[int]]:
    kinds: dict[Origin, list[int]] = defaultdict(list)
    for place in places:
        kinds[pool.examples[place].origin].append(place)
    whole = sum(SHARES[origin] for origin in kinds)
    return [_draw(members, max(1, round(n * SHARES[origin] / whole)), rng) for origin, members in sorted(kinds.items())]


def _draw(places: list[int], n: int, rng: random.Random) -> list[int]:
    drawn: list[int] = []
    while places and len(drawn) < n:
        drawn += rng.sample(places, len(places))
    return drawn[:n]


def _spread(drawn: list[int], rng: random.Random) -> list[tuple[float, int]]:
    """Give each draw a time in [0, 1): evenly apart, from a random start."""
    shift = rng.random()
    return [((i + shift) / len(drawn), place) for i, place in enumerate(drawn)]
