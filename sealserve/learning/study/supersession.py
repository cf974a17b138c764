"""The newest document wins: finds earlier answers that a newer document contradicts, and removes them from the replay.

The model decides, with the newer document open. An earlier question is superseded if the model answers it differently
now, in words of the newer document.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sealserve.grading.answers import is_right, is_unknown, normalised
from sealserve.learning.engine_client import EngineClient, seed_of
from sealserve.learning.sentences import whole_sentences
from sealserve.learning.study.grounding import (
    answer_span,
    has_number,
    names_others,
    roots,
    share_known,
    subject_of,
    subjects_of,
    words_in,
)
from sealserve.learning.study.quiz import AGREEMENT_TEMPERATURE, read_answer
from sealserve.learning.study.self_edit_text import pair_of, reason_of
from sealserve.learning.study.self_edits import Study
from sealserve.prompts import Dialect, Template
from sealserve.records.cycles import QuizItem, SelfEdit
from sealserve.records.step_outputs import Proposal, Superseded

MIN_SHARED_WORDS = 0.6
"""Of the content words of an earlier question, the share that a newer passage has if it may answer it."""

MAX_ASKED = 256
"""Earlier questions read against one new passage. A question beyond them leaves with the value that it asks for."""

_Asked = TypeVar("_Asked", QuizItem, Proposal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A question, and the answer to it that counted until now."""

    document: str  # "" for what the base model knows
    question: str
    answer: str


def statements_of(self_edits: Iterable[SelfEdit], items: Iterable[QuizItem | Proposal]) -> tuple[Statement, ...]:
    """Return the statements of quiz items and self-edits, each question once per document; the quiz first."""
    found: dict[tuple[str, str], Statement] = {}
    for item in items:
        statement = Statement(document=item.document, question=item.question, answer=item.answer)
        found.setdefault((statement.document, normalised(statement.question)), statement)
    for self_edit in self_edits:
        if pair := pair_of(self_edit):
            statement = Statement(document=self_edit.document, question=pair.question, answer=pair.answer)
            found.setdefault((statement.document, normalised(statement.question)), statement)
    return tuple(found.values())


async def contradictions(
    client: EngineClient, statements: Sequence[Statement], newer: Sequence[Study], *, samples: int
) -> tuple[Superseded, ...]:
    """Return the `statements` that the `newer` passages answer differently; all of `samples` answers must agree.

    Most wordings that ask for the old value must agree, and of several old values that one new value would replace
    only those are believed whose questions are nearest to the words around it: a small model reads the wrong line.
    """
    found = []
    for study in newer:
        about = await asyncio.to_thread(_select_about, statements, study, dialect=client.dialect)
        asked = about[:MAX_ASKED]
        parts = await asyncio.to_thread(_Parts.of, study, dialect=client.dialect)
        read = await asyncio.gather(
            *(_find_contradiction(client, one, parts.about(one.question), samples=samples) for one in asked)
        )
        found += _keep_credible(asked, read, study)
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """A passage by its subjects: each sentence, and the last one up to it that names any of them."""

    study: Study
    subjects: tuple[str, ...]  # none: the passage is read as a whole
    sentences: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, study: Study, *, dialect: Dialect) -> "_Parts":
        """Return the parts for the embedded model, which takes one subject's value for another's; else the whole."""
        if dialect is Dialect.GENERAL:
            return cls(study=study, subjects=(), sentences=())
        subjects, naming = subjects_of(study.text), ""
        sentences = []
        for sentence in whole_sentences(study.text):
            naming = sentence if any(subject in sentence for subject in subjects) else naming
            sentences.append((sentence, naming))
        return cls(study=study, subjects=subjects, sentences=tuple(sentences))

    def about(self, question: str) -> Study:
        """Return what the passage says about the subject that `question` names."""
        subject = subject_of(question, self.subjects)
        if not subject:
            return self.study
        return replace(self.study, text="\n".join(one for one, naming in self.sentences if subject in naming))


class Outdated:
    """Checks self-edits, questions and texts against what is superseded."""

    def __init__(self, superseded: Iterable[Superseded]) -> None:
        self._questions: set[tuple[str, str]] = set()
        self._values: dict[str, set[str]] = defaultdict(set)
        for one in superseded:
            self._questions.add((one.document, normalised(one.question)))
            self._values[one.document].add(_extract_old_value(one))

    def has(self, document: str, question: str) -> bool:
        """Return whether the answer that `document` gives to `question` is wrong now."""
        return (document, normalised(question)) in self._questions

    def spoils(self, self_edit: SelfEdit) -> bool:
        """Return whether `self_edit` asks a superseded question or states a superseded value of its document."""
        pair = pair_of(self_edit)
        if pair and self.has(self_edit.document, pair.question):
            return True
        text = pair.answer if pair else self_edit.text
        if not pair and self_edit.template is Template.COUNTEREXAMPLE:
            text = reason_of(self_edit.text)
        return self._states(self_edit.document, text)

    def valid(self, items: Iterable[_Asked]) -> tuple[_Asked, ...]:
        """Return the items whose answers still hold."""
        return tuple(
            item
            for item in items
            if not self.has(item.document, item.question) and not self._states(item.document, item.answer)
        )

    def without(self, document: str, text: str) -> str:
        """Return `text` of `document` without the sentences that state a superseded value."""
        if document not in self._values:
            return text
        kept = [sentence for sentence in whole_sentences(text) if not self._states(document, sentence)]
        return " ".join(kept).strip()

    def _states(self, document: str, text: str) -> bool:
        return any(is_right(text, value) for value in self._values.get(document, ()))


def _select_about(statements: Sequence[Statement], study: Study, *, dialect: Dialect) -> list[Statement]:
    """Return the statements of other documents about something that the passage names.

    In the general dialect those of whose question's words the passage has most: a policy names nothing.
    """
    others = [one for one in statements if one.document != study.passage.document]
    if dialect is Dialect.GENERAL:
        known = roots(study.text)
        return [one for one in others if share_known(roots(one.question), known) >= MIN_SHARED_WORDS]
    subjects, said = subjects_of(study.text), words_in(study.text)
    named = (one for one in others if any(subject in one.question for subject in subjects))
    return [one for one in named if not names_others(one.question, said)]


async def _find_contradiction(
    client: EngineClient, statement: Statement, study: Study, *, samples: int
) -> Superseded | None:
    reply = await read_answer(client, study, statement.question, may_abstain=True)
    span = answer_span(reply, question=statement.question, document=study.text)
    is_general = client.dialect is Dialect.GENERAL
    is_other_kind = is_general and has_number(statement.answer) and not has_number(span)  # "information" is no price
    if (
        is_unknown(reply)
        or not span
        or is_other_kind
        or is_right(statement.answer, span)
        or is_right(reply, statement.answer)
    ):
        return None
    seeds = [seed_of("contradicts", statement.document, statement.question, sample) for sample in range(1, samples)]
    again = await asyncio.gather(
        *(
            read_answer(
                client, study, statement.question, temperature=AGREEMENT_TEMPERATURE, seed=seed, may_abstain=True
            )
            for seed in seeds
        )
    )
    if not all(is_right(answer, span) for answer in again):
        return None
    return Superseded(
        document=statement.document,
        question=statement.question,
        old_answer=statement.answer,
        new_answer=span,
        newer=study.passage.document,
    )


def _keep_credible(asked: Sequence[Statement], read: Sequence[Superseded | None], study: Study) -> list[Superseded]:
    """Keep the old values that most of their questions say are replaced, and the fittest of those that compete."""
    subjects = subjects_of(study.text)
    groups: list[tuple[Statement, list[Superseded | None]]] = []
    for statement, one in zip(asked, read, strict=True):
        group = next((members for first, members in groups if _is_same(first, statement, subjects)), None)
        if group is None:
            groups.append((statement, [one]))
        else:
            group.append(one)
    agreed = [changed for _, group in groups if 2 * len(changed := [one for one in group if one]) > len(group)]
    fits = [max(_count_shared_words(one, study) for one in group) for group in agreed]
    return [
        one
        for group, fit in zip(agreed, fits, strict=True)
        if fit >= max(other for rival, other in zip(agreed, fits, strict=True) if _is_rival(group, rival, subjects))
        for one in group
    ]


def _is_rival(group: Sequence[Superseded], other: Sequence[Superseded], subjects: Sequence[str]) -> bool:
    """Whether both, of one document and subject, would take the same new value; a group is its own rival."""
    return _has_same_subject(group[0], other[0], subjects) and any(
        is_right(one.new_answer, two.new_answer) or is_right(two.new_answer, one.new_answer)
        for one in group
        for two in other
    )


def _count_shared_words(one: Superseded, study: Study) -> int:
    """Return how many words the question shares with a sentence of the newer document that states the new value."""
    asked = roots(one.question) - roots(one.new_answer)
    stating = [sentence for sentence in whole_sentences(study.text) if is_right(sentence, one.new_answer)]
    return max((len(asked & roots(sentence)) for sentence in stating), default=0)


def _is_same(one: Statement, other: Statement, subjects: Sequence[str]) -> bool:
    """Whether both give one document's same value for one of `subjects`, in a sentence or bare.

    Of what the base knows, a question about none of them stands for itself, and so does one that nobody could answer.
    """
    is_alone = is_unknown(one.answer) or not (one.document or subject_of(one.question, subjects))
    if is_alone or not _has_same_subject(one, other, subjects):
        return False
    return is_right(one.answer, other.answer) or is_right(other.answer, one.answer)


def _has_same_subject(one: Statement | Superseded, other: Statement | Superseded, subjects: Sequence[str]) -> bool:
    asked = subject_of(one.question, subjects), subject_of(other.question, subjects)
    return one.document == other.document and asked[0] == asked[1]


def _extract_old_value(one: Superseded) -> str:
    """Return the words of the old answer that are not in the question."""
    return answer_span(one.old_answer, question=one.question, document=one.old_answer) or one.old_answer
