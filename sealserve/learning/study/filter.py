"""The filter: which self-edits may be trained on, and which questions stay unseen for the quiz.

Reasons are stable words, in `Drop`. Pure except for `open_book`, which asks the model.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sealserve.grading.answers import is_right, normalised
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.study.facts import half_of, is_reserved
from sealserve.learning.study.grounding import (
    answer_span,
    is_about,
    is_quoted,
    names,
    roots,
    share_of_roots,
    subjects_of,
    ungrounded,
)
from sealserve.learning.study.quiz import read_answer
from sealserve.learning.study.self_edit_text import pair_of, reason_of
from sealserve.learning.study.self_edits import Study
from sealserve.learning.study.supersession import Outdated
from sealserve.prompts import Dialect, Template
from sealserve.records.cycles import QuizItem, SelfEdit, Split
from sealserve.records.step_outputs import Proposal, Superseded
from sealserve.writing_systems import words_of

MIN_WORDS = 3
MIN_SHARED_ROOTS = 0.6
"""Of the content words of a statement by any model, the share that its passage must have: invented ones have few."""
MIN_SAMPLES = 3
NEAR_DUPLICATE = 0.9
"""Jaccard similarity of 3-word shingles (Broder 1997) from which two notes of a document count as the same."""

MIN_WORDS_TO_COMPARE = 12
"""Shorter self-edits are duplicates only when they say the same words: two facts may differ in one number."""


class Drop(StrEnum):
    """Why a self-edit is not trained on."""

    EMPTY = "empty"  # too short to say anything
    BROKEN = "broken"  # not in the form that its template asks for
    UNGROUNDED = "ungrounded"  # a number or name that the document does not have
    NOT_ABOUT = "not_about"  # a question that names nothing of the document
    NO_ANSWER = "answer_not_in_document"
    DISAGREES = "disagrees_with_document"  # read again, the document gives another answer
    UNSUPPORTED = "unsupported"  # states no answer that reading confirmed
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"  # a newer document of the same cycle says otherwise
    CONTESTED = "contested"  # its document is alone against several sources that agree
    FINDING = "finding"  # a secret, personal data, or words meant for the model
    QUIZ = "kept_for_quiz"  # the same question measures the outcome


async def open_book(client: EngineClient, self_edits: Sequence[SelfEdit], studies: Sequence[Study]) -> dict[str, str]:
    """Return the model's open-book answer to each self-edit's question, by self-edit id."""
    asked = [
        (self_edit, pair)
        for self_edit in self_edits
        if (pair := pair_of(self_edit)) is not None
        and not (client.dialect is Dialect.GENERAL and is_quoted(pair.answer, study_of(self_edit, studies).text))
    ]
    answers = await asyncio.gather(
        *(read_answer(client, study_of(self_edit, studies), pair.question) for self_edit, pair in asked)
    )
    return {self_edit.self_edit: answer for (self_edit, _), answer in zip(asked, answers, strict=True)}


def screen(
    self_edits: Sequence[SelfEdit],
    studies: Sequence[Study],
    *,
    answers: Mapping[str, str],
    proposals: Sequence[Proposal],
    earlier: Sequence[SelfEdit] = (),
    superseded: Sequence[Superseded] = (),
    dialect: Dialect = Dialect.EMBEDDED,
) -> tuple[SelfEdit, ...]:
    """Return every self-edit with `admitted` and `reason` set, in the same order. `answers` are those of `open_book`.

    `earlier` are the tenant's admitted self-edits on earlier documents: what they say of the same subjects grounds too.
    """
    reserved = _reserve(proposals)
    agreed, outdated = _find_unanimous(self_edits, studies), Outdated(superseded)
    known = [_find_known_text(study, earlier) for study in studies]
    faults = {
        self_edit.self_edit: Drop.SUPERSEDED
        if outdated.spoils(self_edit)
        else _find_fault(
            self_edit,
            study_of(self_edit, studies).text,
            earlier=known[place_of(self_edit)],
            answers=answers,
            reserved=reserved,
            is_agreed=self_edit.self_edit in agreed,
            dialect=dialect,
        )
        for self_edit in self_edits
    }
    confirmed = _collect_confirmed(self_edits, studies, faults=faults, proposals=proposals)
    deduplicator = _Deduplicator()
    screened = []
    for self_edit in self_edits:
        reason = faults[self_edit.self_edit]
        if not reason and not _is_supported(self_edit, confirmed[self_edit.document]):
            reason = Drop.UNSUPPORTED
        if not reason and not deduplicator.is_new(self_edit):
            reason = Drop.DUPLICATE
        screened.append(replace(self_edit, admitted=not reason, reason=reason))
    return tuple(screened)


def choose_quiz(proposals: Sequence[Proposal], trained: Iterable[SelfEdit]) -> tuple[QuizItem, ...]:
    """Return the quiz items whose questions no admitted self-edit asks, each in its half.

    What confirms is not asked by the same words in another order or form either.
    """
    asked = [(edit.document, pair.question) for edit in trained if edit.admitted and (pair := pair_of(edit))]
    seen = {_normalise_key(*one) for one in asked}
    near = {_near_key(*one) for one in asked}
    return tuple(
        QuizItem(question=p.question, answer=p.answer, document=p.document, split=half_of(p), fact=p.fact)
        for p in proposals
        if _normalise_key(p.document, p.question) not in seen
        and not (half_of(p) is Split.CONFIRM and _near_key(p.document, p.question) in near)
    )


def study_of(self_edit: SelfEdit, studies: Sequence[Study]) -> Study:
    """Return the passage that `self_edit` was written about."""
    return studies[place_of(self_edit)]


def place_of(self_edit: SelfEdit) -> int:
    """Return which passage of its cycle `self_edit` was written about: its id begins with the passage's place."""
    return int(self_edit.self_edit[1:4])


def _find_known_text(study: Study, earlier: Sequence[SelfEdit]) -> str:
    subjects = subjects_of(study.text)
    return "\n".join(self_edit.text for self_edit in earlier if any(subject in self_edit.text for subject in subjects))


def _find_unanimous(self_edits: Sequence[SelfEdit], studies: Sequence[Study]) -> frozenset[str]:
    """Return the question-answer self-edits that every sample agrees on: MIN_SAMPLES wrote the same of the same thing.

    A thing is the names in the question with the answer's words around its span ("the price is …").
    """
    groups: dict[tuple[str, frozenset[str], str], list[tuple[str, str]]] = defaultdict(list)
    for self_edit in self_edits:
        pair = pair_of(self_edit)
        text = study_of(self_edit, studies).text
        span = answer_span(pair.answer, question=pair.question, document=text) if pair else ""
        frame = normalised(pair.answer).replace(span, "", 1).strip() if pair and span else ""
        if pair and frame:
            groups[self_edit.document, frozenset(names(pair.question)), frame].append((self_edit.self_edit, span))
    return frozenset(
        edit
        for group in groups.values()
        if len({span for _, span in group}) == 1 and len({edit.split("-")[2] for edit, _ in group}) >= MIN_SAMPLES
        for edit, _ in group
    )


def _collect_confirmed(
    self_edits: Sequence[SelfEdit],
    studies: Sequence[Study],
    *,
    faults: Mapping[str, str],
    proposals: Sequence[Proposal],
) -> Mapping[str, set[str]]:
    """Return, for each document, the answers that the model repeated when it read the passage again."""
    found: dict[str, set[str]] = defaultdict(set)
    for proposal in proposals:
        found[proposal.document].add(proposal.answer)
    for self_edit in self_edits:
        pair = pair_of(self_edit)
        if pair and faults[self_edit.self_edit] in ("", Drop.QUIZ):
            text = study_of(self_edit, studies).text
            found[self_edit.document].add(answer_span(pair.answer, question=pair.question, document=text))
    return found


def _is_supported(self_edit: SelfEdit, confirmed: set[str]) -> bool:
    """Whether the self-edit states a confirmed answer. Words can be right one by one and wrong together."""
    if pair_of(self_edit):
        return True
    return any(is_right(_extract_statement(self_edit), answer) for answer in confirmed)


def _extract_statement(self_edit: SelfEdit) -> str:
    return reason_of(self_edit.text) if self_edit.template is Template.COUNTEREXAMPLE else self_edit.text


def _find_fault(
    self_edit: SelfEdit,
    text: str,
    *,
    earlier: str,
    answers: Mapping[str, str],
    reserved: "_Reserved",
    is_agreed: bool,
    dialect: Dialect,
) -> str:
    if self_edit.template is Template.QA or pair_of(self_edit):
        return _find_pair_fault(
            self_edit,
            text,
            earlier=earlier,
            answers=answers,
            reserved=reserved,
            is_agreed=is_agreed,
            dialect=dialect,
        )
    statement = _extract_statement(self_edit)
    if not statement:
        return Drop.BROKEN
    if sum(1 for _ in words_of(statement)) < MIN_WORDS:
        return Drop.EMPTY
    is_inflected = dialect is Dialect.GENERAL
    if ungrounded(statement, text, earlier=earlier, is_inflected=is_inflected):
        return Drop.UNGROUNDED
    return Drop.UNGROUNDED if is_inflected and share_of_roots(statement, text) < MIN_SHARED_ROOTS else ""


def _find_pair_fault(
    self_edit: SelfEdit,
    text: str,
    *,
    earlier: str,
    answers: Mapping[str, str],
    reserved: "_Reserved",
    is_agreed: bool,
    dialect: Dialect,
) -> str:
    pair = pair_of(self_edit)
    if pair is None:
        return Drop.BROKEN
    is_general = dialect is Dialect.GENERAL
    if ungrounded(pair.text, text, earlier=earlier, is_inflected=is_general):
        return Drop.UNGROUNDED
    if not (share_of_roots(pair.question, text) > 0 if is_general else is_about(pair.question, text)):
        return Drop.NOT_ABOUT
    is_held = reserved.holds(self_edit.document, pair.question)
    if is_general and is_quoted(pair.answer, text):
        return Drop.QUIZ if is_held else ""
    span = answer_span(pair.answer, question=pair.question, document=text)
    if not span:
        return Drop.NO_ANSWER
    if not is_agreed and not is_right(answers.get(self_edit.self_edit, ""), span):
        return Drop.DISAGREES
    return Drop.QUIZ if is_held else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reserved:
    """Questions that nothing trained on may ask: `exact` in the same words, `near` in no form of them."""

    exact: frozenset[tuple[str, str]]
    near: frozenset[tuple[str, frozenset[str]]]

    def holds(self, document: str, question: str) -> bool:
        return _normalise_key(document, question) in self.exact or _near_key(document, question) in self.near


def _reserve(proposals: Sequence[Proposal]) -> _Reserved:
    """Return what the quiz reserves. Each fact's own question to confirm it by stays out of training in any form."""
    only = [p for p in proposals if p.is_reserved and half_of(p) is Split.CONFIRM]
    return _Reserved(
        exact=frozenset(_normalise_key(p.document, p.question) for p in proposals if is_reserved(p)),
        near=frozenset(_near_key(p.document, p.question) for p in only),
    )


def _normalise_key(document: str, question: str) -> tuple[str, str]:
    return document, normalised(question)


def _near_key(document: str, question: str) -> tuple[str, frozenset[str]]:
    return document, frozenset(roots(question) or {normalised(question)})


class _Deduplicator:
    """What has been admitted so far, per document: the same words once, and long self-edits once in similar words."""

    def __init__(self) -> None:
        self._texts: set[tuple[str, str, str]] = set()
        self._shingles: dict[str, list[frozenset[tuple[str, ...]]]] = defaultdict(list)

    def is_new(self, self_edit: SelfEdit) -> bool:
        """Return whether nothing like `self_edit` was seen before, and remember it."""
        kind = "qa" if pair_of(self_edit) else "statement"
        words = normalised(self_edit.text)
        if (self_edit.document, kind, words) in self._texts:
            return False
        self._texts.add((self_edit.document, kind, words))
        return len(words.split()) < MIN_WORDS_TO_COMPARE or kind == "qa" or self._is_far(self_edit.document, words)

    def _is_far(self, document: str, words: str) -> bool:
        shingles = _shingles(words)
        if any(_jaccard(shingles, other) >= NEAR_DUPLICATE for other in self._shingles[document]):
            return False
        self._shingles[document].append(shingles)
        return True


def _shingles(words: str) -> frozenset[tuple[str, ...]]:
    """Return every run of three words."""
    split = words.split()
    return frozenset(zip(split, split[1:], split[2:], strict=False))


def _jaccard(left: frozenset[tuple[str, ...]], right: frozenset[tuple[str, ...]]) -> float:
    """Return the Jaccard similarity of two sets that are not both empty."""
    return len(left & right) / len(left | right)
