"""What people think of answers: kept once for each answer.

An answer is known by its request id, which the answer itself carries; its text is not recorded anywhere, so
whoever corrects it says what was asked.
"""

import secrets
from typing import Any

from sqlalchemy import Row, case, func, select

from sealserve.canonical import Json
from sealserve.errors import AlreadyExists, InvalidArgument, NotFound, QuotaExceeded
from sealserve.records.feedback import Feedback, Opinion, Thumb, VersionFeedback
from sealserve.records.pages import Page
from sealserve.records.validation import require_line, require_short
from sealserve.records.versions import BASE_VERSION
from sealserve.registry import audit, tenants
from sealserve.registry.evaluation.room import FULL_RETRY_SECONDS
from sealserve.registry.sql import paging, request_ids
from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.sql.evaluation_tables import feedback
from sealserve.registry.versions import version_rows
from sealserve.settings.limits import LimitSettings

MAX_ID_LENGTH = 128
MAX_QUESTION_LENGTH = 2000
MAX_ANSWER_LENGTH = 8000
MAX_CORRECTION_LENGTH = 500
"""A right answer is short: it becomes a question of the evaluation."""

MAX_CORRECTIONS = 2000
"""The newest corrections that are measured by."""


class FeedbackStore:
    """What people say of answers."""

    def __init__(self, database: Database, limits: LimitSettings) -> None:
        self._database = database
        self._limits = limits

    def add(self, tenant: str, opinion: Opinion, *, actor: str, request_id: str = "") -> Feedback:
        """Store feedback on an answer. The same request_id again returns the first.

        Raises: InvalidArgument (too long, a correction without a question), NotFound (tenant; the version that gave
        the answer), AlreadyExists (this answer has its feedback), QuotaExceeded.
        """
        _require_sound(opinion)
        request: dict[str, Any] = {"tenant": tenant, "request_id": request_id, "arguments": _arguments(opinion)}
        self._require_room(tenant, request)
        with self._database.write() as tx:
            tenants.get(tx, tenant)
            if earlier := request_ids.earlier_answer(tx, "create_feedback", **request):
                return _get(tx, earlier)
            if opinion.version != BASE_VERSION:
                version_rows.get(tx, tenant, opinion.version)
            about = feedback.c.answer_request == opinion.answer_request
            if tx.row(select(feedback.c.feedback).where(feedback.c.tenant == tenant, about)):
                raise AlreadyExists(opinion.answer_request, kind="feedback on answer")
            made = _insert(tx, tenant, opinion, actor=actor)
            request_ids.remember(tx, "create_feedback", **request, answer=made.feedback)
            return made

    def _require_room(self, tenant: str, request: dict[str, Any]) -> None:
        """Count before the write, where nobody waits for it: a few at once may exceed the limit."""
        most = self._limits.feedback_rows
        with self._database.read() as tx:
            row = tx.row(select(func.count().label("n")).select_from(feedback).where(feedback.c.tenant == tenant))
            is_again = request_ids.earlier_answer(tx, "create_feedback", **request) is not None
        if row is not None and row.n >= most and not is_again:
            text = f"{tenant} keeps {row.n} opinions on answers and may have no more; ask the operator to raise "
            raise QuotaExceeded(
                text + "limits.feedback_rows", retry_seconds=FULL_RETRY_SECONDS, subject=f"tenants/{tenant}"
            )

    def page(self, tenant: str, *, page_size: int = 50, page_token: str = "") -> Page[Feedback]:
        """Return the tenant's feedback, newest first. Raises: NotFound (tenant), InvalidArgument."""
        with self._database.read() as tx:
            tenants.get(tx, tenant)
            return paging.page(
                tx,
                select(feedback).where(feedback.c.tenant == tenant),
                key=feedback.c.sequence,
                scope=f"feedback:{tenant}",
                page_size=page_size,
                page_token=page_token,
                convert=_record,
                newest_first=True,
            )

    def on_answer(self, answer_request: str) -> Feedback | None:
        """Return the feedback on the answer, of whatever tenant; None if there is none."""
        query = select(feedback).where(feedback.c.answer_request == answer_request)
        with self._database.read() as tx:
            row = tx.row(query.order_by(feedback.c.sequence.desc()).limit(1))
        return _record(row) if row is not None else None

    def corrections(self, tenant: str) -> tuple[Feedback, ...]:
        """Return the tenant's newest corrections, newest first."""
        query = select(feedback).where(feedback.c.tenant == tenant, feedback.c.correction != "")
        with self._database.read() as tx:
            return tuple(map(_record, tx.rows(query.order_by(feedback.c.sequence.desc()).limit(MAX_CORRECTIONS))))

    def by_version(self, tenant: str) -> tuple[VersionFeedback, ...]:
        """Return the thumbs of each version that got any, newest version first. Raises: NotFound (tenant)."""
        up = func.sum(case((feedback.c.thumb == Thumb.UP, 1), else_=0))
        query = (
            select(feedback.c.version, up.label("up"), func.count().label("n"))
            .where(feedback.c.tenant == tenant)
            .group_by(feedback.c.version)
            .order_by(feedback.c.version.desc())
        )
        with self._database.read() as tx:
            tenants.get(tx, tenant)
            return tuple(
                VersionFeedback(version=row.version, up=int(row.up), down=row.n - int(row.up)) for row in tx.rows(query)
            )


def _require_sound(opinion: Opinion) -> None:
    require_line(opinion.answer_request, field="answer_request_id", max_length=MAX_ID_LENGTH)
    require_short(opinion.question, field="question", max_length=MAX_QUESTION_LENGTH)
    require_short(opinion.answer, field="answer", max_length=MAX_ANSWER_LENGTH)
    require_short(opinion.correction, field="correction", max_length=MAX_CORRECTION_LENGTH)
    if not opinion.answer_request:
        raise InvalidArgument(
            "answer_request_id must be the request id that the answer carries", field="answer_request_id"
        )
    if opinion.correction.strip() and not opinion.question.strip():
        raise InvalidArgument("a correction needs the question that was asked", field="question")
    if opinion.correction.strip() and opinion.thumb is Thumb.UP:
        raise InvalidArgument("a correction means that the answer was wrong; its thumb must be down", field="thumb")


def _arguments(opinion: Opinion) -> Json:
    return {name: getattr(opinion, name) for name in Opinion.__dataclass_fields__}


def _insert(tx: Transaction, tenant: str, opinion: Opinion, *, actor: str) -> Feedback:
    made = secrets.token_hex(8)
    row = {
        "feedback": made,
        "tenant": tenant,
        "answer_request": opinion.answer_request,
        "version": opinion.version,
        "thumb": opinion.thumb,
        "question": opinion.question.strip(),
        "answer": opinion.answer,
        "correction": opinion.correction.strip(),
        "actor": actor,
        "created_at": tx.now,
    }
    tx.insert(feedback, [row])
    audit.append(
        tx,
        "feedback.create",
        actor=actor,
        tenant=tenant,
        subject=f"tenants/{tenant}/feedback/{made}",
        details={"version": opinion.version, "thumb": opinion.thumb, "is_correction": bool(opinion.correction)},
    )
    return _get(tx, made)


def _get(tx: Transaction, made: str) -> Feedback:
    row = tx.row(select(feedback).where(feedback.c.feedback == made))
    if row is None:
        raise NotFound(made, kind="feedback")
    return _record(row)


def _record(row: Row[Any]) -> Feedback:
    return Feedback(
        tenant=row.tenant,
        feedback=row.feedback,
        opinion=Opinion(
            answer_request=row.answer_request,
            version=row.version,
            thumb=Thumb(row.thumb),
            question=row.question,
            answer=row.answer,
            correction=row.correction,
        ),
        actor=row.actor,
        created_at=row.created_at,
    )
