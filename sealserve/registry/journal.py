"""The step journal: who works on a cycle (lease and fence), and what each finished step leaves behind.

A fence is a number that only grows. Whoever claims a cycle gets a new one; a write that names an older one is
refused and changes nothing. An expired lease that nobody else has taken may still write.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, assert_never

from sqlalchemy import ColumnElement, Row, and_, not_, or_, select, update

from sealserve.canonical import Json, canonical_json
from sealserve.errors import FailedPrecondition, InvalidArgument, LeaseLost, NotFound
from sealserve.records.cycles import Claim, CycleState, QuizItem, Step, StepRecord
from sealserve.records.documents import DocumentState
from sealserve.registry import audit, policy_decisions, state_machine
from sealserve.registry.cycles import cycle_rows
from sealserve.registry.documents import document_rows as documents
from sealserve.registry.sql import tables as t
from sealserve.registry.sql.database import Transaction
from sealserve.registry.step_effects import (
    AddCandidates,
    AddPolicyDecisions,
    AddQuiz,
    AddSelfEdits,
    Effect,
    Finish,
    HoldDocument,
    Publish,
)
from sealserve.registry.versions import activations, version_rows

LEASES_AHEAD, MIN_SECONDS_AHEAD = 10, 900.0
"""How far ahead a live lease may end, in lease lengths or in seconds, whichever is more."""

_FENCE = "fence"


def claim(tx: Transaction, *, worker: str, lease_seconds: float) -> Claim | None:
    """Take the oldest open cycle whose lease is free or has expired, with a new fence; None if there is none."""
    row = tx.row(
        select(t.cycles)
        .where(
            t.cycles.c.state.in_(state_machine.OPEN_CYCLES),
            or_(t.cycles.c.leased_until.is_(None), not_(_is_live(tx, t.cycles.c.leased_until, lease_seconds))),
        )
        .order_by(t.cycles.c.sequence)
        .limit(1)
    )
    if row is None:
        return None
    if row.state == CycleState.PENDING:
        state_machine.require_cycle_move(CycleState.PENDING, CycleState.RUNNING)
    taken = Claim(
        cycle=row.cycle,
        tenant=row.tenant,
        worker=worker,
        fence=_next_fence(tx),
        expires_at=tx.now + timedelta(seconds=lease_seconds),
    )
    _set(
        tx,
        row.cycle,
        state=CycleState.RUNNING,
        worker=worker,
        fence=taken.fence,
        leased_until=taken.expires_at,
        attempts=row.attempts + 1,
    )
    return taken


def renew(tx: Transaction, held: Claim, *, lease_seconds: float) -> Claim:
    """Return the claim with a later end. Raises: LeaseLost."""
    row = _held_row(tx, held)
    if row.state != CycleState.RUNNING:
        raise LeaseLost(f"cycle {held.cycle} has ended as {row.state}: there is nothing left to hold")
    until = tx.now + timedelta(seconds=lease_seconds)
    _set(tx, held.cycle, leased_until=until)
    return Claim(cycle=held.cycle, tenant=held.tenant, worker=held.worker, fence=held.fence, expires_at=until)


def release(tx: Transaction, held: Claim) -> None:
    """Free the lease, if `held` still has it."""
    tx.run(
        update(t.cycles)
        .where(t.cycles.c.cycle == held.cycle, t.cycles.c.fence == held.fence)
        .values(leased_until=None, worker="")
    )


def record_step(
    tx: Transaction, held: Claim, *, step: Step, output: Json, seconds: float, effects: Sequence[Effect]
) -> StepRecord:
    """Store the step and apply its effects, once. Raises: LeaseLost, FailedPrecondition, InvalidArgument, Conflict."""
    cycle = _held_row(tx, held)
    if recorded := tx.row(_one_step(held.cycle, step)):
        return cycle_rows.step_record(recorded)
    if cycle.state != CycleState.RUNNING:
        raise FailedPrecondition(f"cycle {held.cycle} has ended as {cycle.state}: it takes no more steps")
    state_machine.require_next_step(Step(cycle.step) if cycle.step else None, step)
    _require_plain(output, field="output")
    tx.insert(
        t.steps,
        [
            {
                "cycle": held.cycle,
                "step": step,
                "output": output,
                "fence": held.fence,
                "seconds": seconds,
                "finished_at": tx.now,
            }
        ],
    )
    _set(tx, held.cycle, step=step, updated_at=tx.now)
    for effect in sorted(effects, key=lambda effect: isinstance(effect, Finish)):  # what ends the cycle comes last
        _apply(tx, held, effect)
    stored = tx.row(_one_step(held.cycle, step))
    if stored is None:
        raise NotFound(f"{held.cycle}/{step}", kind="step")
    return cycle_rows.step_record(stored)


def hold(tx: Transaction, name: str, *, holder: str, lease_seconds: float) -> bool:
    """Take or renew the lease `name`; False while somebody else holds it."""
    of_others = t.leases.c.name == name, t.leases.c.holder != holder
    if tx.row(select(t.leases).where(*of_others, _is_live(tx, t.leases.c.leased_until, lease_seconds))):
        return False
    until = tx.now + timedelta(seconds=lease_seconds)
    tx.upsert(t.leases, [{"name": name, "holder": holder, "leased_until": until}], key=("name",))
    return True


def _is_live(tx: Transaction, leased_until: ColumnElement[datetime], lease_seconds: float) -> ColumnElement[bool]:
    """Whether the lease has not run out. One that would last far longer than leases do was taken before the clock was
    set back: nobody renews it."""
    longest = max(LEASES_AHEAD * lease_seconds, MIN_SECONDS_AHEAD)
    return and_(leased_until > tx.now, leased_until <= tx.now + timedelta(seconds=longest))


def end_open(tx: Transaction, tenant: str, *, actor: str, reason: str) -> None:
    """End the tenant's open cycle, if there is one: its worker's writes are refused, its documents wait again."""
    own = t.cycles.c.tenant == tenant, t.cycles.c.state.in_(state_machine.OPEN_CYCLES)
    row = tx.row(select(t.cycles).where(*own))
    if row is None:
        return
    state_machine.require_cycle_move(CycleState(row.state), CycleState.INCONCLUSIVE)
    claimed = documents.claimed_by(tx, row.cycle)
    waiting = [document.document for document in claimed if document.state is DocumentState.LEARNING]
    documents.move(tx, tenant, waiting, to=DocumentState.ADMITTED, reason="")
    ended = {"state": CycleState.INCONCLUSIVE, "reason": reason, "fence": _next_fence(tx)}
    _set(tx, row.cycle, **ended, leased_until=None, worker="")
    audit.append(
        tx,
        "cycle.finish",
        actor=actor,
        tenant=tenant,
        subject=cycle_rows.resource(tenant, row.cycle),
        details={"state": CycleState.INCONCLUSIVE, "documents": dict.fromkeys(waiting, DocumentState.ADMITTED)},
    )


def _next_fence(tx: Transaction) -> int:
    row = tx.row(select(t.counters.c.value).where(t.counters.c.name == _FENCE))
    fence = (row.value if row else 0) + 1
    tx.upsert(t.counters, [{"name": _FENCE, "value": fence, "hash": ""}], key=("name",))
    return int(fence)


def _held_row(tx: Transaction, held: Claim) -> Row[Any]:
    row = tx.row(select(t.cycles).where(t.cycles.c.cycle == held.cycle, t.cycles.c.tenant == held.tenant))
    if row is None:
        raise NotFound(cycle_rows.resource(held.tenant, held.cycle), kind="cycle")
    if row.fence != held.fence:
        raise LeaseLost(f"cycle {held.cycle} was taken over by another worker: this result is refused")
    return row


def _set(tx: Transaction, cycle: str, **values: Any) -> None:
    tx.run(update(t.cycles).where(t.cycles.c.cycle == cycle).values({"updated_at": tx.now, **values}))


def _one_step(cycle: str, step: Step) -> Any:
    return select(t.steps).where(t.steps.c.cycle == cycle, t.steps.c.step == step)


def _require_plain(value: Json, *, field: str) -> None:
    try:
        canonical_json(value)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"{field} must be plain, finite JSON: {error}", field=field) from error


def _apply(tx: Transaction, held: Claim, effect: Effect) -> None:
    match effect:
        case AddSelfEdits():
            _add_self_edits(tx, held, effect)
        case AddQuiz():
            _add_quiz(tx, held, effect.items)
        case AddCandidates():
            _add_candidates(tx, held, effect)
        case AddPolicyDecisions():
            for ruling in effect.rulings:
                policy_decisions.keep(tx, ruling)
        case HoldDocument():
            _hold_document(tx, held, effect)
        case Publish():
            _publish(tx, held, effect)
        case Finish():
            _finish(tx, held, effect)
        case _:
            assert_never(effect)


def _add_self_edits(tx: Transaction, held: Claim, effect: AddSelfEdits) -> None:
    for edit in effect.edits:
        _require_own(held, cycle=edit.cycle, tenant=edit.tenant)
    _require_claimed(tx, held, {edit.document for edit in effect.edits})
    tx.upsert(t.self_edits, [asdict(edit) for edit in effect.edits], key=("cycle", "self_edit"))


def _add_quiz(tx: Transaction, held: Claim, items: Sequence[QuizItem]) -> None:
    _require_claimed(tx, held, {item.document for item in items})
    rows = {
        _item_id(item): {**asdict(item), "item": _item_id(item), "cycle": held.cycle, "tenant": held.tenant}
        for item in items
    }
    tx.upsert(t.quiz, list(rows.values()), key=("cycle", "item"))


def _item_id(item: QuizItem) -> str:
    return hashlib.sha256(f"{item.document}\0{item.question}".encode(errors="replace")).hexdigest()[:16]


def _add_candidates(tx: Transaction, held: Claim, effect: AddCandidates) -> None:
    for candidate in effect.candidates:
        _require_own(held, cycle=candidate.cycle, tenant=held.tenant)
        _require_plain(asdict(candidate), field=f"candidate {candidate.index}")
    tx.upsert(
        t.candidates,
        [
            {
                "cycle": held.cycle,
                "position": candidate.index,
                "recipe": asdict(candidate.recipe),
                "artifact": candidate.artifact,
                "final_loss": candidate.final_loss,
                "seconds": candidate.seconds,
            }
            for candidate in effect.candidates
        ],
        key=("cycle", "position"),
    )


def _hold_document(tx: Transaction, held: Claim, effect: HoldDocument) -> None:
    _require_claimed(tx, held, {effect.document})
    documents.move(tx, held.tenant, [effect.document], to=DocumentState.HELD, reason=effect.reason)
    audit.append(
        tx,
        "document.hold",
        actor=_actor(held),
        tenant=held.tenant,
        subject=documents.resource(held.tenant, effect.document),
        details={"cycle": held.cycle},
    )


def _publish(tx: Transaction, held: Claim, effect: Publish) -> None:
    _require_plain(effect.lineage.to_json(), field="lineage")
    actor = _actor(held)
    made = version_rows.create(tx, held.tenant, publish=effect, cycle=held.cycle, actor=actor)
    _set(tx, held.cycle, version=made.version)
    if effect.promote:
        activations.promote(
            tx,
            held.tenant,
            made.version,
            expected_etag=effect.expected_etag,
            actor=actor,
            reason=f"verdict of cycle {held.cycle}",
        )


def _finish(tx: Transaction, held: Claim, effect: Finish) -> None:
    cycle = cycle_rows.by_id(tx, held.cycle)
    state_machine.require_cycle_move(cycle.state, effect.state)
    state_machine.require_document_move(DocumentState.LEARNING, effect.documents)
    claimed = documents.claimed_by(tx, held.cycle)
    waiting = [document.document for document in claimed if document.state is DocumentState.LEARNING]
    reason = "" if effect.documents is DocumentState.LEARNED else effect.reason
    documents.move(tx, held.tenant, waiting, to=effect.documents, reason=reason)
    _set(tx, held.cycle, state=effect.state, reason=effect.reason, leased_until=None, worker="")
    audit.append(
        tx,
        "cycle.finish",
        actor=_actor(held),
        tenant=held.tenant,
        subject=cycle_rows.resource(held.tenant, held.cycle),
        details={
            "state": effect.state,
            "documents": dict.fromkeys(waiting, effect.documents),
            **({"excused": list(effect.excused)} if effect.excused else {}),
        },
    )


def _require_own(held: Claim, *, cycle: str, tenant: str) -> None:
    if (cycle, tenant) != (held.cycle, held.tenant):
        raise InvalidArgument(f"an effect of cycle {held.cycle} names another cycle or tenant", field="effects")


def _require_claimed(tx: Transaction, held: Claim, names: set[str]) -> None:
    claimed = {document.document for document in documents.claimed_by(tx, held.cycle)}
    if stray := names - claimed:
        raise InvalidArgument(
            f"an effect of cycle {held.cycle} names documents that it did not claim: {', '.join(sorted(stray))}",
            field="effects",
        )


def _actor(held: Claim) -> str:
    return f"worker:{held.worker}"
