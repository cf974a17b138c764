"""Which moves documents, cycles, steps and versions may make. Pure rules: no I/O, no clock, no database.

To change what may follow what, change the tables here and nothing else.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from sealserve.errors import FailedPrecondition
from sealserve.records.cycles import STEPS, CycleState, Step
from sealserve.records.documents import DocumentState
from sealserve.records.versions import VersionState

D, C, V = DocumentState, CycleState, VersionState

DOCUMENT_MOVES: Mapping[DocumentState, frozenset[DocumentState]] = {
    D.ADMITTED: frozenset(  # LEARNED: a version that contains it was promoted by hand
        # HELD: later documents showed that it belongs to a flood; SET_ASIDE: a newer version of it came before a cycle
        {D.LEARNING, D.LEARNED, D.HELD, D.SET_ASIDE, D.FORGOTTEN}
    ),
    D.LEARNING: frozenset({D.LEARNED, D.SET_ASIDE, D.ADMITTED, D.HELD}),  # HELD: the judge found an order in it
    D.LEARNED: frozenset({D.WITHDRAWN, D.FORGOTTEN}),
    D.SET_ASIDE: frozenset({D.ADMITTED, D.LEARNED, D.FORGOTTEN}),
    D.WITHDRAWN: frozenset({D.ADMITTED, D.LEARNED, D.LEARNING, D.FORGOTTEN}),  # LEARNING: taught again
    D.QUARANTINED: frozenset({D.ADMITTED, D.FORGOTTEN}),
    D.HELD: frozenset({D.ADMITTED, D.FORGOTTEN}),  # ADMITTED: released, or submitted again when no rule holds it
    D.FORGOTTEN: frozenset({D.ADMITTED}),  # submitted again
}

CYCLE_MOVES: Mapping[CycleState, frozenset[CycleState]] = {
    C.PENDING: frozenset({C.RUNNING, C.INCONCLUSIVE}),
    C.RUNNING: frozenset({C.PROMOTED, C.REJECTED, C.HELD, C.INCONCLUSIVE, C.FAILED}),
    C.PROMOTED: frozenset(),
    C.REJECTED: frozenset(),
    C.HELD: frozenset(),
    C.INCONCLUSIVE: frozenset(),
    C.FAILED: frozenset(),
}

VERSION_MOVES: Mapping[VersionState, frozenset[VersionState]] = {
    V.READY: frozenset({V.QUARANTINED}),
    V.QUARANTINED: frozenset(),
}

OPEN_CYCLES: tuple[CycleState, ...] = (C.PENDING, C.RUNNING)
"""A tenant has at most one cycle in these states."""

READMISSIBLE: frozenset[DocumentState] = frozenset(s for s in DOCUMENT_MOVES if D.ADMITTED in DOCUMENT_MOVES[s]) - {
    D.LEARNING
}
"""States from which adding the same document again makes it wait for a cycle once more."""

PROMOTABLE: frozenset[DocumentState] = frozenset(s for s in DOCUMENT_MOVES if D.LEARNED in DOCUMENT_MOVES[s])
"""States from which a document becomes LEARNED when a version that holds it is promoted."""

S = TypeVar("S", bound=StrEnum)


def require_document_move(current: DocumentState, target: DocumentState) -> None:
    """Return if a document may go from `current` to `target`. Raises: FailedPrecondition otherwise."""
    _require(DOCUMENT_MOVES, current, target=target, what="a document")


def require_cycle_move(current: CycleState, target: CycleState) -> None:
    """Return if a cycle may go from `current` to `target`. Raises: FailedPrecondition otherwise."""
    _require(CYCLE_MOVES, current, target=target, what="a cycle")


def require_version_move(current: VersionState, target: VersionState) -> None:
    """Return if a version may go from `current` to `target`. Raises: FailedPrecondition otherwise."""
    _require(VERSION_MOVES, current, target=target, what="an adapter version")


def require_next_step(last: Step | None, step: Step) -> None:
    """Return if `step` may be recorded after `last`: steps may be skipped, never repeated.

    Raises: FailedPrecondition otherwise.
    """
    if last is not None and STEPS.index(step) <= STEPS.index(last):
        raise FailedPrecondition(f"step {step} cannot follow step {last}: steps only go forwards")


def _require(moves: Mapping[S, frozenset[S]], current: S, *, target: S, what: str) -> None:
    if target in moves[current]:
        return
    allowed = ", ".join(sorted(moves[current])) or "nothing: it is final"
    raise FailedPrecondition(f"{what} that is {current} cannot become {target}; allowed: {allowed}")
