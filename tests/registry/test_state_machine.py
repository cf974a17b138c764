"""The tables of allowed moves, by rule rather than by example."""

from itertools import product

import pytest

from sealserve.errors import FailedPrecondition
from sealserve.records.cycles import STEPS, CycleState, Step
from sealserve.records.documents import DocumentState
from sealserve.records.versions import VersionState
from sealserve.registry import state_machine


def test_every_state_has_its_row() -> None:
    assert set(state_machine.DOCUMENT_MOVES) == set(DocumentState)
    assert set(state_machine.CYCLE_MOVES) == set(CycleState)
    assert set(state_machine.VERSION_MOVES) == set(VersionState)


@pytest.mark.parametrize(("current", "target"), [*product(DocumentState, DocumentState)])
def test_document_moves_only_where_the_table_says(current: DocumentState, target: DocumentState) -> None:
    if target in state_machine.DOCUMENT_MOVES[current]:
        state_machine.require_document_move(current, target)
        assert current != target
    else:
        with pytest.raises(FailedPrecondition, match=f"{current} cannot become {target}"):
            state_machine.require_document_move(current, target)


def test_withdrawn_document_is_learned_again_only_by_a_cycle_or_by_a_version_that_holds_it() -> None:
    allowed = state_machine.DOCUMENT_MOVES[DocumentState.WITHDRAWN]
    assert allowed == {DocumentState.ADMITTED, DocumentState.LEARNING, DocumentState.LEARNED, DocumentState.FORGOTTEN}


@pytest.mark.parametrize("state", [DocumentState.QUARANTINED, DocumentState.HELD])
def test_document_that_was_stopped_never_reaches_a_cycle_directly(state: DocumentState) -> None:
    assert state_machine.DOCUMENT_MOVES[state] == {DocumentState.ADMITTED, DocumentState.FORGOTTEN}


def test_every_document_that_no_cycle_has_can_be_forgotten_once() -> None:
    for state, allowed in state_machine.DOCUMENT_MOVES.items():
        is_free = state not in (DocumentState.LEARNING, DocumentState.FORGOTTEN)
        assert (DocumentState.FORGOTTEN in allowed) == is_free


def test_ended_cycle_never_moves_again() -> None:
    for state in set(CycleState) - set(state_machine.OPEN_CYCLES):
        with pytest.raises(FailedPrecondition, match="it is final"):
            state_machine.require_cycle_move(state, CycleState.RUNNING)


def test_quarantined_version_stays_so() -> None:
    state_machine.require_version_move(VersionState.READY, VersionState.QUARANTINED)
    with pytest.raises(FailedPrecondition):
        state_machine.require_version_move(VersionState.QUARANTINED, VersionState.READY)


@pytest.mark.parametrize("last", [None, *STEPS])
@pytest.mark.parametrize("step", STEPS)
def test_steps_only_go_forwards(last: Step | None, step: Step) -> None:
    if last is None or STEPS.index(step) > STEPS.index(last):
        state_machine.require_next_step(last, step)
        assert step != last
    else:
        with pytest.raises(FailedPrecondition):
            state_machine.require_next_step(last, step)
