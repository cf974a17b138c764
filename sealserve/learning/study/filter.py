"""The filter: which notes may be trained on, and which questions stay unseen for the quiz.

Reasons are stable words, in `Drop`. Pure but for the open-book check, whose answers are handed in. Knows nothing
of training.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from sealserve.grading.answers import is_right, normalised
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.study.grounding import answer_span, is_about, names, ungrounded
from sealserve.learning.study.notes import pair_of, reason_of
from sealserve.learning.study.quiz import is_for_quiz, read_answer, split_of
from sealserve.learning.study.self_edits import Study
from sealserve.learning.study.subjects import subjects_of
from sealserve.learning.study.supersession import Outdated
from sealserve.prompts import Template
from sealserve.records.cycles import QuizItem, SelfEdit
from sealserve.records.step_outputs import Proposal, Superseded

MIN_WORDS = 3
MIN_SAMPLES = 3
NEAR_DUPLICATE = 0.9
"""Jaccard similarity of 3-word shingles (Broder 1997) from which two notes of a document count as the same."""

MIN_WORDS_TO_COMPARE = 12
"""Shorter notes are duplicates only when they say the same words: two facts may differ in one number."""


class Drop(StrEnum):
    """Why a note is not trained on."""

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


async def open_book(client: EngineClient, notes: Sequence[SelfEdit], studies: Sequence[Study]) -> dict[str, str]:
    """Return what the model answers to each note's question while it reads the note's passage, by self-edit id."""
    asked = [(note, pair) for note in notes if (pair := pair_of(note)) is not None]
    answers = await asyncio.gather(
        *(read_answer(client, study_of(note, studies), pair.question) for note, pair in asked)
    )
    return {note.self_edit: answer for (note, _), answer in zip(asked, answers, strict=True)}


def screen(
    notes: Sequence[SelfEdit],
    studies: Sequence[Study],
    *,
    answers: Mapping[str, str],
    proposals: Sequence[Proposal],
    earlier: Sequence[SelfEdit] = (),
    superseded: Sequence[Superseded] = (),
) -> tuple[SelfEdit, ...]:
    """Return every note with `admitted` and `reason` set, in the same order. `answers` are those of `open_book`.

    `earlier` are the tenant's admitted notes on earlier documents: what they say of the same subjects grounds too.
    """
    reserved = {_key(p.document, p.question) for p in proposals if p.is_given or is_for_quiz(p.question)}
    agreed, outdated = _unanimous(notes, studies), Outdated(superseded)
    known = [_known_of(study, earlier) for study in studies]
    faults = {
        note.self_edit: Drop.SUPERSEDED
        if outdated.spoils(note)
        else _fault(
            note,
            study_of(note, studies).text,
            earlier=known[place_of(note)],
            answers=answers,
            reserved=reserved,
            is_agreed=note.self_edit in agreed,
        )
        for note in notes
    }
    confirmed = _confirmed(notes, studies, faults=faults, proposals=proposals)
    unseen = _Unseen()
    screened = []
    for note in notes:
        reason = faults[note.self_edit]
        if not reason and not _is_supported(note, confirmed[note.document]):
            reason = Drop.UNSUPPORTED
        if not reason and not unseen.is_new(note):
            reason = Drop.DUPLICATE
        screened.append(replace(note, admitted=not reason, reason=reason))
    return tuple(screened)


def choose_quiz(proposals: Sequence[Proposal], trained: Iterable[SelfEdit]) -> tuple[QuizItem, ...]:
    """Return the quiz items whose questions no admitted note asks, each in its half."""
    seen = {_key(note.document, pair.question) for note in trained if note.admitted and (pair := pair_of(note))}
    return tuple(
        QuizItem(question=p.question, answer=p.answer, document=p.document, split=split_of(p.question))
        for p in proposals
        if _key(p.document, p.question) not in seen
    )


def study_of(note: SelfEdit, studies: Sequence[Study]) -> Study:
    """Return the passage that `note` was written about."""
    return studies[place_of(note)]


def place_of(note: SelfEdit) -> int:
    """Return which passage of its cycle `note` was written about: its id begins with the passage's place."""
    return int(note.self_edit[1:4])


def _known_of(study: Study, earlier: Sequence[SelfEdit]) -> str:
    subjects = subjects_of(study.text)
    return "\n".join(note.text for note in earlier if any(subject in note.text for subject in subjects))


def _unanimous(notes: Sequence[SelfEdit], studies: Sequence[Study]) -> frozenset[str]:
    """Return the question-answer notes that every sample agrees on: MIN_SAMPLES wrote the same of the same thing.

    A thing is the names in the question with the answer's words around its span ("the price is …").
    """
    said: dict[tuple[str, frozenset[str], str], list[tuple[str, str]]] = defaultdict(list)
    for note in notes:
        pair = pair_of(note)
        text = study_of(note, studies).text
        span = answer_span(pair.answer, question=pair.question, document=text) if pair else ""
        frame = normalised(pair.answer).replace(span, "", 1).strip() if pair and span else ""
        if pair and frame:
            said[note.document, frozenset(names(pair.question)), frame].append((note.self_edit, span))
    return frozenset(
        edit
        for group in said.values()
        if len({span for _, span in group}) == 1 and len({edit.split("-")[2] for edit, _ in group}) >= MIN_SAMPLES
        for edit, _ in group
    )


def _confirmed(
    notes: Sequence[SelfEdit],
    studies: Sequence[Study],
    *,
    faults: Mapping[str, str],
    proposals: Sequence[Proposal],
) -> Mapping[str, set[str]]:
    """Return, for each document, the answers that the model gave again when it read the passage."""
    found: dict[str, set[str]] = defaultdict(set)
    for proposal in proposals:
        found[proposal.document].add(proposal.answer)
    for note in notes:
        pair = pair_of(note)
        if pair and faults[note.self_edit] in ("", Drop.QUIZ):
            text = study_of(note, studies).text
            found[note.document].add(answer_span(pair.answer, question=pair.question, document=text))
    return found


def _is_supported(note: SelfEdit, confirmed: set[str]) -> bool:
    """Whether the note states a confirmed answer. Words can be right one by one and wrong together."""
    if pair_of(note):
        return True
    return any(is_right(_said(note), answer) for answer in confirmed)


def _said(note: SelfEdit) -> str:
    return reason_of(note.text) if note.template is Template.COUNTEREXAMPLE else note.text


def _fault(
    note: SelfEdit,
    text: str,
    *,
    earlier: str,
    answers: Mapping[str, str],
    reserved: set[tuple[str, str]],
    is_agreed: bool,
) -> str:
    if note.template is Template.QA or pair_of(note):
        return _fault_of_pair(note, text, earlier=earlier, answers=answers, reserved=reserved, is_agreed=is_agreed)
    said = _said(note)
    if not said:
        return Drop.BROKEN
    if len(said.split()) < MIN_WORDS:
        return Drop.EMPTY
    return Drop.UNGROUNDED if ungrounded(said, text, earlier=earlier) else ""


def _fault_of_pair(
    note: SelfEdit,
    text: str,
    *,
    earlier: str,
    answers: Mapping[str, str],
    reserved: set[tuple[str, str]],
    is_agreed: bool,
) -> str:
    pair = pair_of(note)
    if pair is None:
        return Drop.BROKEN
    if ungrounded(pair.text, text, earlier=earlier):
        return Drop.UNGROUNDED
    if not is_about(pair.question, text):
        return Drop.NOT_ABOUT
    span = answer_span(pair.answer, question=pair.question, document=text)
    if not span:
        return Drop.NO_ANSWER
    if not is_agreed and not is_right(answers.get(note.self_edit, ""), span):
        return Drop.DISAGREES
    return Drop.QUIZ if _key(note.document, pair.question) in reserved else ""


def _key(document: str, question: str) -> tuple[str, str]:
    return document, normalised(question)


class _Unseen:
    """What has been admitted so far, per document: the same words once, and long notes once in similar words."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str, str]] = set()
        self._shingles: dict[str, list[frozenset[tuple[str, ...]]]] = defaultdict(list)

    def is_new(self, note: SelfEdit) -> bool:
        """Return whether nothing like `note` was seen before, and remember it."""
        kind = "qa" if pair_of(note) else "statement"
        words = normalised(note.text)
        if (note.document, kind, words) in self._said:
            return False
        self._said.add((note.document, kind, words))
        return len(words.split()) < MIN_WORDS_TO_COMPARE or kind == "qa" or self._is_far(note.document, words)

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
