"""Evaluation sets: a tenant's own questions with right answers. A set never changes; other contents are a revision."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, func, select

from sealserve.canonical import canonical_json
from sealserve.errors import InvalidArgument, NotFound
from sealserve.records.pages import Page
from sealserve.records.question_sets import EvaluationItem, EvaluationSet
from sealserve.registry import audit, tenants
from sealserve.registry.evaluation.room import require_room, without_items
from sealserve.registry.sql import paging
from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.sql.evaluation_tables import evaluation_sets
from sealserve.settings.limits import LimitSettings

NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
MAX_ITEMS = 2000
MAX_QUESTION_LENGTH = 2000
MAX_ANSWER_LENGTH = 500


class QuestionSets:
    """A tenant's own questions, revision by revision."""

    def __init__(self, database: Database, limits: LimitSettings) -> None:
        self._database = database
        self._limits = limits

    def add(self, tenant: str, name: str, items: Sequence[EvaluationItem], *, actor: str) -> tuple[EvaluationSet, bool]:
        """Keep `items` as the newest revision of `name`; (set, False) when the newest has these very items.

        Raises: NotFound (tenant), InvalidArgument (name, no items, too many, too long, a question twice),
        QuotaExceeded.
        """
        _require_sound(name, items)
        rows = [asdict(item) for item in items]
        data = canonical_json(rows).encode()
        digest = hashlib.sha256(data).hexdigest()
        with self._database.write() as tx:
            tenants.get(tx, tenant)
            newest = _newest(tx, tenant, name)
            if newest is not None and newest.digest == digest:
                return _record(newest), False
            require_room(tx, tenant, size_bytes=len(data), limits=self._limits)
            revision = 1 if newest is None else newest.revision + 1
            row = {
                "tenant": tenant,
                "name": name,
                "revision": revision,
                "items": rows,
                "item_count": len(rows),
                "size_bytes": len(data),
                "digest": digest,
                "actor": actor,
                "created_at": tx.now,
            }
            tx.insert(evaluation_sets, [row])
            subject = f"tenants/{tenant}/evaluationSets/{name}"
            details = {"revision": revision, "items": len(items), "digest": digest}
            audit.append(tx, "evaluation.add", actor=actor, tenant=tenant, subject=subject, details=details)
            made = _newest(tx, tenant, name)
        assert made is not None
        return _record(made), True

    def get(self, tenant: str, name: str, *, revision: int = 0) -> EvaluationSet:
        """Return a revision of a set; 0 is the newest. Raises: NotFound."""
        with self._database.read() as tx:
            row = _newest(tx, tenant, name, revision=revision)
        if row is None:
            raise NotFound(f"tenants/{tenant}/evaluationSets/{name}", kind="evaluation set")
        return _record(row)

    def page(self, tenant: str, *, page_size: int = 50, page_token: str = "") -> Page[EvaluationSet]:
        """Return every revision of every set, newest first, without items.

        Raises: NotFound (tenant), InvalidArgument.
        """
        with self._database.read() as tx:
            tenants.get(tx, tenant)
            return paging.page(
                tx,
                select(*without_items(evaluation_sets)).where(evaluation_sets.c.tenant == tenant),
                key=evaluation_sets.c.sequence,
                scope=f"evaluation_sets:{tenant}",
                page_size=page_size,
                page_token=page_token,
                convert=_record,
                newest_first=True,
            )

    def newest(self, tenant: str) -> tuple[EvaluationSet, ...]:
        """Return the newest revision of each of the tenant's sets, by name: what it is measured by now."""
        table = evaluation_sets
        newest = select(func.max(table.c.sequence)).where(table.c.tenant == tenant).group_by(table.c.name)
        with self._database.read() as tx:
            rows = tx.rows(select(table).where(table.c.sequence.in_(newest)).order_by(table.c.name))
            return tuple(map(_record, rows))


def _newest(tx: Transaction, tenant: str, name: str, *, revision: int = 0) -> Row[Any] | None:
    table = evaluation_sets
    query = select(table).where(table.c.tenant == tenant, table.c.name == name)
    if revision:
        query = query.where(table.c.revision == revision)
    return tx.row(query.order_by(table.c.revision.desc()).limit(1))


def _require_sound(name: str, items: Sequence[EvaluationItem]) -> None:
    if not NAME.fullmatch(name):
        text = "the name of a set has 1 to 63 lower-case letters, digits and hyphens, and begins with a letter"
        raise InvalidArgument(text, field="set_id")
    if not 1 <= len(items) <= MAX_ITEMS:
        raise InvalidArgument(f"a set has 1 to {MAX_ITEMS} items, not {len(items)}", field="items")
    seen: set[str] = set()
    for number, item in enumerate(items, start=1):
        is_fit = bool(item.question.strip()) and len(item.question) <= MAX_QUESTION_LENGTH
        if not is_fit or not item.answer.strip() or len(item.answer) > MAX_ANSWER_LENGTH:
            text = f"item {number}: a question has 1 to {MAX_QUESTION_LENGTH} characters, an answer {MAX_ANSWER_LENGTH}"
            raise InvalidArgument(text, field="items")
        if item.question.strip().casefold() in seen:
            raise InvalidArgument(f"item {number}: this question is in the set already", field="items")
        seen.add(item.question.strip().casefold())


def _record(row: Row[Any]) -> EvaluationSet:
    return EvaluationSet(
        tenant=row.tenant,
        name=row.name,
        revision=row.revision,
        items=tuple(EvaluationItem(**item) for item in row._mapping.get("items", ())),
        item_count=row.item_count,
        digest=row.digest,
        actor=row.actor,
        created_at=row.created_at,
    )
