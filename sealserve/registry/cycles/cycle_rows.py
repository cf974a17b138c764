"""Cycles and what their steps left behind: opening, finding, and reading back. `journal.py` moves them on."""

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, Subquery, and_, select

from sealserve.errors import FailedPrecondition, InvalidArgument, NotFound
from sealserve.prompts import Template
from sealserve.records.candidates import Candidate, Recipe
from sealserve.records.cycles import Cycle, CycleState, QuizItem, SelfEdit, Split, Step, StepRecord
from sealserve.records.documents import Document, DocumentState
from sealserve.records.pages import Page
from sealserve.records.step_outputs import from_json
from sealserve.records.validation import require_line
from sealserve.registry import audit, state_machine, tenants
from sealserve.registry.documents import document_rows
from sealserve.registry.sql import paging, request_ids
from sealserve.registry.sql.database import Transaction
from sealserve.registry.sql.tables import audit as audit_table
from sealserve.registry.sql.tables import candidates, cycle_documents, cycles, quiz, self_edits, steps

MAX_DOCUMENTS_PER_CYCLE = 1000
_AUTHORS_ACTIONS = ("cycle.import", "cycle.start", "document.admit", "document.quarantine", "document.readmit")
"""What makes somebody an author; in this order, who started a cycle comes first."""


def start(tx: Transaction, tenant: str, *, trigger: str, actor: str, request_id: str, max_documents: int) -> Cycle:
    """Open a cycle for the oldest admitted documents. Raises: NotFound, InvalidArgument, FailedPrecondition."""
    tenants.get(tx, tenant)
    require_line(trigger, field="trigger")
    if not 1 <= max_documents <= MAX_DOCUMENTS_PER_CYCLE:
        raise InvalidArgument(f"max_documents must be 1 to {MAX_DOCUMENTS_PER_CYCLE}", field="max_documents")
    arguments = {"trigger": trigger, "max_documents": max_documents}
    request: dict[str, Any] = {"tenant": tenant, "request_id": request_id, "arguments": arguments}
    if earlier := request_ids.earlier_answer(tx, "start_cycle", **request):
        return by_id(tx, earlier)
    require_none_open(tx, tenant)
    chosen = document_rows.oldest_admitted(tx, tenant, limit=max_documents)
    if not chosen:
        raise FailedPrecondition(
            f"tenant {tenant} has no admitted document to learn; add one first", reason="NOTHING_TO_LEARN"
        )
    opened = open_for(tx, tenant, chosen, trigger=trigger, actor=actor)
    request_ids.remember(tx, "start_cycle", **request, answer=opened.cycle)
    return opened


def open_for(tx: Transaction, tenant: str, chosen: Sequence[str], *, trigger: str, actor: str) -> Cycle:
    """Open a cycle for these documents of a tenant with none open. Raises: FailedPrecondition (a document's state)."""
    name = _new_id(tx)
    tx.insert(
        cycles,
        [
            {
                "cycle": name,
                "tenant": tenant,
                "state": CycleState.PENDING,
                "step": None,
                "trigger": trigger,
                "reason": "",
                "version": None,
                "attempts": 0,
                "fence": 0,
                "worker": "",
                "leased_until": None,
                "created_at": tx.now,
                "updated_at": tx.now,
            }
        ],
    )
    tx.insert(
        cycle_documents,
        [
            {"cycle": name, "position": position, "tenant": tenant, "document": document}
            for position, document in enumerate(chosen)
        ],
    )
    document_rows.move(tx, tenant, chosen, to=DocumentState.LEARNING, reason="")
    audit.append(
        tx,
        "cycle.start",
        actor=actor,
        tenant=tenant,
        subject=resource(tenant, name),
        details={"trigger": trigger, "documents": list(chosen)},
    )
    return by_id(tx, name)


def get(tx: Transaction, tenant: str, cycle: str) -> Cycle:
    """Return the tenant's cycle. Raises: NotFound, also if it is another tenant's."""
    tenants.get(tx, tenant)
    row = tx.row(select(cycles).where(cycles.c.cycle == cycle, cycles.c.tenant == tenant))
    if row is None:
        raise NotFound(resource(tenant, cycle), kind="cycle")
    return _record(row)


def by_id(tx: Transaction, cycle: str) -> Cycle:
    """Return the cycle, whoever owns it: for workers, never for a tenant's call. Raises: NotFound."""
    row = tx.row(select(cycles).where(cycles.c.cycle == cycle))
    if row is None:
        raise NotFound(cycle, kind="cycle")
    return _record(row)


def pages(tx: Transaction, tenant: str, *, page_size: int, page_token: str) -> Page[Cycle]:
    """Return the tenant's cycles, newest first. Raises: NotFound (tenant), InvalidArgument."""
    tenants.get(tx, tenant)
    return paging.page(
        tx,
        select(cycles).where(cycles.c.tenant == tenant),
        key=cycles.c.sequence,
        scope=f"{tenant}/cycles",
        page_size=page_size,
        page_token=page_token,
        convert=_record,
        newest_first=True,
    )


def documents_of(tx: Transaction, cycle: str) -> tuple[Document, ...]:
    """Return the documents that the cycle claimed, oldest first. Raises: NotFound."""
    by_id(tx, cycle)
    return document_rows.claimed_by(tx, cycle)


def authors_of(tx: Transaction, tenant: str, cycle: str) -> tuple[str, ...]:
    """Return who started the cycle, then who submitted its documents, from the audit trail.

    A cycle that the clock started has no author but those: without them nobody would stand behind it. Who let a held
    document in is none of them: that was a look at somebody else's work. Raises: NotFound.
    """
    claimed = [document_rows.resource(tenant, one.document) for one in documents_of(tx, cycle)]
    return authors_among(tx, tenant, [resource(tenant, cycle), *claimed])


def authors_among(tx: Transaction, tenant: str, subjects: Sequence[str]) -> tuple[str, ...]:
    """Return who started the cycles and who submitted the documents among `subjects`, which are resource names."""
    query = (
        select(audit_table.c.actor)
        .where(audit_table.c.tenant == tenant, audit_table.c.subject.in_(subjects))
        .where(audit_table.c.action.in_(_AUTHORS_ACTIONS))
        .order_by(audit_table.c.action, audit_table.c.sequence)
    )
    return tuple(dict.fromkeys(row.actor for row in tx.rows(query)))


def steps_of(tx: Transaction, cycle: str) -> tuple[StepRecord, ...]:
    """Return the recorded steps in order. Raises: NotFound."""
    by_id(tx, cycle)
    return tuple(map(step_record, tx.rows(select(steps).where(steps.c.cycle == cycle).order_by(steps.c.sequence))))


def self_edits_of(tx: Transaction, cycle: str) -> tuple[SelfEdit, ...]:
    """Return the cycle's self-edits, dropped ones included, in order of writing. Raises: NotFound."""
    by_id(tx, cycle)
    return _self_edits(tx, select(self_edits).where(self_edits.c.cycle == cycle))


def quiz_of(tx: Transaction, cycle: str) -> tuple[QuizItem, ...]:
    """Return the cycle's quiz items in order of writing. Raises: NotFound."""
    by_id(tx, cycle)
    return _quiz(tx, select(quiz).where(quiz.c.cycle == cycle))


def candidates_of(tx: Transaction, cycle: str) -> tuple[Candidate, ...]:
    """Return the cycle's candidates by index. Raises: NotFound."""
    by_id(tx, cycle)
    query = select(candidates).where(candidates.c.cycle == cycle).order_by(candidates.c.position)
    return tuple(
        Candidate(
            cycle=row.cycle,
            index=row.position,
            recipe=_recipe(row.recipe),
            artifact=row.artifact,
            final_loss=row.final_loss,
            seconds=row.seconds,
        )
        for row in tx.rows(query)
    )


def admitted_self_edits(tx: Transaction, sources: Subquery) -> tuple[SelfEdit, ...]:
    """Return the admitted self-edits that each document got in its cycle, in order of writing."""
    is_source = and_(self_edits.c.cycle == sources.c.cycle, self_edits.c.document == sources.c.document)
    return _self_edits(tx, select(self_edits).join(sources, is_source).where(self_edits.c.admitted))


def quiz_items(tx: Transaction, sources: Subquery) -> tuple[QuizItem, ...]:
    """Return the quiz items that each document got in its cycle, in order of writing."""
    is_source = and_(quiz.c.cycle == sources.c.cycle, quiz.c.document == sources.c.document)
    return _quiz(tx, select(quiz).join(sources, is_source))


def resource(tenant: str, cycle: str) -> str:
    """Return the cycle's resource name."""
    return f"tenants/{tenant}/cycles/{cycle}"


def step_record(row: Row[Any]) -> StepRecord:
    """Return a row of `steps` as a record."""
    return StepRecord(
        cycle=row.cycle,
        step=Step(row.step),
        output=row.output,
        fence=row.fence,
        seconds=row.seconds,
        finished_at=row.finished_at,
    )


def require_none_open(tx: Transaction, tenant: str) -> None:
    """Return if the tenant has no open cycle. Raises: FailedPrecondition."""
    row = tx.row(select(cycles.c.cycle).where(cycles.c.tenant == tenant, cycles.c.state.in_(state_machine.OPEN_CYCLES)))
    if row is not None:
        raise FailedPrecondition(
            f"{resource(tenant, row.cycle)} is still open; wait until it has ended", reason="CYCLE_OPEN"
        )


def _new_id(tx: Transaction) -> str:
    return f"{int(tx.now.timestamp() * 1000):012x}{secrets.token_hex(4)}"


def _self_edits(tx: Transaction, query: Select[Any]) -> tuple[SelfEdit, ...]:
    return tuple(
        SelfEdit(
            tenant=row.tenant,
            cycle=row.cycle,
            self_edit=row.self_edit,
            document=row.document,
            template=Template(row.template),
            text=row.text,
            seed=row.seed,
            admitted=row.admitted,
            reason=row.reason,
        )
        for row in tx.rows(query.order_by(self_edits.c.sequence))
    )


def _quiz(tx: Transaction, query: Select[Any]) -> tuple[QuizItem, ...]:
    return tuple(
        QuizItem(question=row.question, answer=row.answer, document=row.document, split=Split(row.split), fact=row.fact)
        for row in tx.rows(query.order_by(quiz.c.sequence))
    )


def _recipe(stored: dict[str, Any]) -> Recipe:
    return from_json(Recipe, stored)


def _record(row: Row[Any]) -> Cycle:
    return Cycle(
        tenant=row.tenant,
        cycle=row.cycle,
        state=CycleState(row.state),
        step=Step(row.step) if row.step else None,
        trigger=row.trigger,
        reason=row.reason,
        version=row.version,
        attempts=row.attempts,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
