"""What a finished step does besides leaving its output: plain descriptions, applied by `journal.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sealserve.records.candidates import Candidate
from sealserve.records.cycles import CycleState, QuizItem, SelfEdit
from sealserve.records.documents import DocumentState
from sealserve.records.policy_decisions import PolicyDecision
from sealserve.records.versions import Lineage


@dataclass(frozen=True, slots=True, kw_only=True)
class AddSelfEdits:
    """Effect of a step: keep these self-edits (upsert by (cycle, self_edit))."""

    edits: tuple[SelfEdit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddQuiz:
    """Effect of a step: keep these quiz items (upsert by (cycle, document, question))."""

    items: tuple[QuizItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCandidates:
    """Effect of a step: keep these candidates (upsert by (cycle, index))."""

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Effect of PUBLISH: make the next version of the claim's tenant; with `promote`, move the pointer as well.

    The move is a compare-and-set against `expected_etag`; a clash raises Conflict and nothing is written.
    `artifact` must be in the artifact store, whole.
    """

    artifact: str
    parent: int
    documents: tuple[str, ...]
    lineage: Lineage
    promote: bool
    expected_etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Effect of the last step: end the cycle, and move its documents to `documents`.

    Documents that are LEARNED already (the version was promoted in the same step) stay so. `documents` is
    LEARNED, SET_ASIDE or ADMITTED (try again): nothing stays LEARNING in a finished cycle. `excused` names the
    regression items, as "suite/item", that did not count because the cycle's documents override them.
    """

    state: CycleState
    reason: str
    documents: DocumentState
    excused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldDocument:
    """Effect of CLAIM: take a claimed document out of the cycle and hold it for a person, with the reason."""

    document: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPolicyDecisions:
    """Effect of a step: keep these decisions by written rules."""

    rulings: tuple[PolicyDecision, ...]


Effect: TypeAlias = AddSelfEdits | AddQuiz | AddCandidates | AddPolicyDecisions | HoldDocument | Publish | Finish


def artifacts_of(effects: Sequence[Effect]) -> tuple[str, ...]:
    """Return the digests of the artifacts that rows of these effects name."""
    named = [effect.artifact for effect in effects if isinstance(effect, Publish)]
    tried = [one.artifact for effect in effects if isinstance(effect, AddCandidates) for one in effect.candidates]
    return tuple(dict.fromkeys([*named, *tried]))
