"""What a tenant has studied so far, cycle by cycle: the notes and questions that later cycles go on from.

Read-only.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, Subquery, and_, case, func, or_, select

from sealserve.records.cycles import EarlierStudy, QuizItem, SelfEdit, Step, StepRecord
from sealserve.registry.cycles import cycle_rows
from sealserve.registry.sql import tables
from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.versions import version_rows


class StudyHistory:
    """What versions were taught, and what earlier cycles wrote."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def learned_self_edits(self, tenant: str, version: int) -> tuple[SelfEdit, ...]:
        """Return every admitted self-edit of the documents that `version` holds: what replay draws from.

        A document learned again counts with its newest cycle only. Raises: NotFound.
        """
        with self._database.read() as tx:
            return cycle_rows.admitted_self_edits(tx, version_rows.sources(tx, tenant, version))

    def learned_quiz(self, tenant: str, version: int) -> tuple[QuizItem, ...]:
        """Return the quiz items of the documents that `version` holds, as `learned_self_edits` does."""
        with self._database.read() as tx:
            return cycle_rows.quiz_items(tx, version_rows.sources(tx, tenant, version))

    def learned_steps(self, tenant: str, version: int, step: Step) -> tuple[StepRecord, ...]:
        """Return what `step` left in every cycle that taught `version` a document it holds, oldest first.

        Raises: NotFound.
        """
        with self._database.read() as tx:
            sources, steps = version_rows.sources(tx, tenant, version), tables.steps
            taught = select(sources.c.cycle).distinct()
            query = select(steps).where(steps.c.cycle.in_(taught), steps.c.step == step).order_by(steps.c.sequence)
            return tuple(map(cycle_rows.step_record, tx.rows(query)))

    def studied_self_edits(self, tenant: str, documents: Sequence[str]) -> tuple[SelfEdit, ...]:
        """Return every admitted self-edit of `documents`, each from its newest cycle, whatever came of that."""
        with self._database.read() as tx:
            return cycle_rows.admitted_self_edits(tx, _newest_studies(tenant, documents))

    def studied_quiz(self, tenant: str, documents: Sequence[str]) -> tuple[QuizItem, ...]:
        """Return the quiz items of `documents`, as `studied_self_edits` does."""
        with self._database.read() as tx:
            return cycle_rows.quiz_items(tx, _newest_studies(tenant, documents))

    def earlier_studies(self, cycle: str) -> tuple[EarlierStudy, ...]:
        """Return, for each document of the cycle, the newest earlier cycle that wrote on it, or else on its namesake.

        A namesake has the same title: most often the article as it was before. Documents never studied before are
        left out. Raises: NotFound.
        """
        with self._database.read() as tx:
            cycle_rows.by_id(tx, cycle)
            return tuple(
                EarlierStudy(document=row.now, earlier_document=found.document, cycle=found.cycle)
                for row in tx.rows(_own_documents(cycle))
                if (found := _newest_before(tx, row)) is not None
            )


def _newest_studies(tenant: str, documents: Sequence[str]) -> Subquery:
    """A query of (document, cycle): where each of the documents was written on last."""
    notes, own = tables.self_edits, tables.cycles
    newest = (
        select(notes.c.document, func.max(own.c.sequence).label("sequence"))
        .join(own, own.c.cycle == notes.c.cycle)
        .where(notes.c.tenant == tenant, notes.c.document.in_(documents))
        .group_by(notes.c.document)
        .subquery()
    )
    return select(newest.c.document, own.c.cycle).join(own, own.c.sequence == newest.c.sequence).subquery()


def _own_documents(cycle: str) -> Select[Any]:
    claimed, kept, own = tables.cycle_documents, tables.documents, tables.cycles
    return (
        select(kept.c.document.label("now"), kept.c.title, kept.c.tenant, own.c.sequence.label("before"))
        .join(claimed, and_(claimed.c.tenant == kept.c.tenant, claimed.c.document == kept.c.document))
        .join(own, own.c.cycle == claimed.c.cycle)
        .where(claimed.c.cycle == cycle)
        .order_by(claimed.c.position)
    )


def _newest_before(tx: Transaction, row: Row[Any]) -> Row[Any] | None:
    notes, kept, own = tables.self_edits, tables.documents, tables.cycles
    is_same = or_(kept.c.document == row.now, and_(kept.c.title == row.title, kept.c.title != ""))
    query = (
        select(notes.c.document, notes.c.cycle, func.max(own.c.sequence).label("sequence"))
        .join(own, own.c.cycle == notes.c.cycle)
        .join(kept, and_(kept.c.tenant == notes.c.tenant, kept.c.document == notes.c.document))
        .where(notes.c.tenant == row.tenant, own.c.sequence < row.before, is_same)
        .group_by(notes.c.document, notes.c.cycle)
        .order_by(case((notes.c.document == row.now, 0), else_=1), func.max(own.c.sequence).desc(), notes.c.document)
        .limit(1)
    )
    return tx.row(query)
