"""Sources of documents and their items: what there is, when the next sync is due, and what became of each item."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, func, select, update

from sealserve.errors import AlreadyExists, InvalidArgument, NotFound, QuotaExceeded
from sealserve.records.pages import Page
from sealserve.records.sources import ItemState, NewSource, Source, SourceItem, SourceKind, SyncCounts, SyncReport
from sealserve.registry import audit, tenants
from sealserve.registry.sql import paging, request_ids
from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.sql.source_tables import source_items, sources

GONE_DAYS = 30.0
"""For how long an item that left its source is still shown."""

_FULL_RETRY_SECONDS = 3600.0
_DELIVERY = "webhook"
_OPTIONS = ("include", "branch", "linked_pages")


class Sources:
    """Sources and their items. Documents made of them are `Registry.documents`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, tenant: str, new: NewSource, *, actor: str, max_sources: int, request_id: str = "") -> Source:
        """Keep a source; its first sync is due at once. The same request_id again gives the first answer.

        Raises: InvalidArgument, NotFound (tenant), AlreadyExists (name), QuotaExceeded.
        """
        new.require_sound(tenant)
        request: dict[str, Any] = {"tenant": tenant, "request_id": request_id, "arguments": _json(asdict(new))}
        with self._database.write() as tx:
            tenants.get(tx, tenant)
            if done := request_ids.earlier_answer(tx, "create_source", **request):
                return _record(_must(tx, tenant, done))
            if _row(tx, tenant, new.name) is not None:
                raise AlreadyExists(resource(tenant, new.name), kind="source")
            _require_room(tx, tenant, max_sources=max_sources)
            tx.insert(sources, [_new_row(tx, tenant, new, actor=actor)])
            details = {"kind": new.kind.value, "location": new.location, "mirror": new.mirror}
            subject = resource(tenant, new.name)
            audit.append(tx, "source.create", actor=actor, tenant=tenant, subject=subject, details=details)
            request_ids.remember(tx, "create_source", **request, answer=new.name)
            return _record(_must(tx, tenant, new.name))

    def get(self, tenant: str, name: str) -> Source:
        """Return the source. Raises: NotFound."""
        with self._database.read() as tx:
            return _record(_must(tx, tenant, name))

    def page(self, tenant: str, *, page_size: int = 50, page_token: str = "") -> Page[Source]:
        """Return the tenant's sources, oldest first. Raises: NotFound (tenant), InvalidArgument."""
        with self._database.read() as tx:
            tenants.get(tx, tenant)
            return paging.page(
                tx,
                select(sources).where(sources.c.tenant == tenant),
                key=sources.c.sequence,
                scope=f"{tenant}/sources",
                page_size=page_size,
                page_token=page_token,
                convert=_record,
            )

    def items(
        self, tenant: str, name: str, *, state: ItemState | None = None, page_size: int = 50, page_token: str = ""
    ) -> Page[SourceItem]:
        """Return the source's items in the order in which they were first seen. Raises: NotFound, InvalidArgument."""
        query = select(source_items).where(source_items.c.tenant == tenant, source_items.c.source == name)
        if state is not None:
            query = query.where(source_items.c.state == state)
        with self._database.read() as tx:
            _must(tx, tenant, name)
            return paging.page(
                tx,
                query,
                key=source_items.c.sequence,
                scope=f"{tenant}/sources/{name}/items/{state or ''}",
                page_size=page_size,
                page_token=page_token,
                convert=_item,
            )

    def delete(self, tenant: str, name: str, *, actor: str) -> Source:
        """Delete the source and what is known of its items; its documents stay. Raises: NotFound."""
        with self._database.write() as tx:
            source = _record(_must(tx, tenant, name))
            tx.run(delete(source_items).where(source_items.c.tenant == tenant, source_items.c.source == name))
            tx.run(delete(sources).where(sources.c.tenant == tenant, sources.c.name == name))
            details = {"kind": source.kind.value, "location": source.location}
            subject = resource(tenant, name)
            audit.append(tx, "source.delete", actor=actor, tenant=tenant, subject=subject, details=details)
        return source

    def request_sync(self, tenant: str, name: str, *, accept_removals: bool, actor: str) -> Source:
        """Have a sync begin as soon as a process has a place for it. Raises: NotFound, InvalidArgument (a webhook).

        With `accept_removals`, the sync may forget however many items left a mirrored source.
        """
        with self._database.write() as tx:
            row = _must(tx, tenant, name)
            if row.kind == SourceKind.WEBHOOK:
                raise InvalidArgument("a webhook waits for what is sent to it; there is nothing to fetch", field="name")
            asked: dict[str, Any] = {"next_sync_at": tx.now, "requested_at": tx.now}
            if accept_removals:
                asked["removals_accepted"] = True
                subject = resource(tenant, name)
                audit.append(tx, "source.accept_removals", actor=actor, tenant=tenant, subject=subject, details={})
            _set(tx, tenant, name, **asked)
            return _record(_must(tx, tenant, name))

    def due(self, *, limit: int) -> tuple[Source, ...]:
        """Return sources whose next sync should have begun, the longest due first."""
        with self._database.read() as tx:
            query = select(sources).where(sources.c.next_sync_at <= tx.now)
            return tuple(map(_record, tx.rows(query.order_by(sources.c.next_sync_at).limit(limit))))

    def begin(self, tenant: str, name: str) -> Source:
        """Note that a sync begins now; return the source as the sync is to see it. Raises: NotFound."""
        with self._database.write() as tx:
            _must(tx, tenant, name)
            _set(tx, tenant, name, started_at=tx.now)
            return _record(_must(tx, tenant, name))

    def finish(self, tenant: str, name: str, report: SyncReport, *, next_after_seconds: float) -> None:
        """Note how the sync ended, and when the next is due; one that was asked for meanwhile is due now.

        Nothing happens to a source that is gone.
        """
        with self._database.write() as tx:
            row = _row(tx, tenant, name)
            if row is None:
                return
            is_asked_again = row.requested_at and row.started_at and row.requested_at > row.started_at
            ended = {
                "finished_at": tx.now,
                "next_sync_at": tx.now + timedelta(seconds=0.0 if is_asked_again else next_after_seconds),
                "failures": row.failures + 1 if report.error else 0,
                "error": report.error,
                "alarm": report.alarm,
                "counts": asdict(report.counts),
                "cursor": report.cursor,
            }
            if not report.error and not report.is_partial and not is_asked_again:
                ended["removals_accepted"] = False
            _set(tx, tenant, name, **ended)
            long_gone = source_items.c.checked_at < tx.now - timedelta(days=GONE_DAYS)
            own = source_items.c.tenant == tenant, source_items.c.source == name
            tx.run(delete(source_items).where(*own, source_items.c.state == ItemState.GONE, long_gone))

    def known(self, tenant: str, name: str) -> Mapping[str, SourceItem]:
        """Return every item that is known of the source, by its key."""
        with self._database.read() as tx:
            own = source_items.c.tenant == tenant, source_items.c.source == name
            return {row.key: _item(row) for row in tx.rows(select(source_items).where(*own))}

    def item(self, tenant: str, name: str, key: str) -> SourceItem | None:
        """Return the item of that key; None if there was never one."""
        own = source_items.c.tenant == tenant, source_items.c.source == name
        with self._database.read() as tx:
            row = tx.row(select(source_items).where(*own, source_items.c.key_digest == _digest(key)))
        return None if row is None else _item(row)

    def record(self, item: SourceItem) -> SourceItem:
        """Keep the item as it is now, checked at this moment; return it. Raises: NotFound (the source is gone)."""
        with self._database.write() as tx:
            _must(tx, item.tenant, item.source)
            fields = {**asdict(item), "superseded": list(item.superseded), "checked_at": tx.now}
            row = {**fields, "key_digest": _digest(item.key)}
            tx.upsert(source_items, [row], key=("tenant", "source", "key_digest"))
            return SourceItem(**{**fields, "superseded": item.superseded})

    def is_own(self, tenant: str, document: str) -> bool:
        """Whether the document came to the tenant by sources only."""
        own = source_items.c.tenant == tenant, source_items.c.document == document
        with self._database.read() as tx:
            return tx.row(select(source_items.c.key).where(*own, source_items.c.is_own).limit(1)) is not None

    def uses(self, tenant: str, document: str) -> int:
        """Return how many items there are that have this document now, in all sources of the tenant."""
        own = source_items.c.tenant == tenant, source_items.c.document == document
        query = select(func.count().label("n")).where(*own, source_items.c.state != ItemState.GONE)
        with self._database.read() as tx:
            row = tx.row(query)
        return int(row.n) if row else 0

    def count(self, tenant: str, name: str) -> int:
        """Return how many items are known of the source."""
        own = source_items.c.tenant == tenant, source_items.c.source == name
        with self._database.read() as tx:
            row = tx.row(select(func.count().label("n")).where(*own))
        return int(row.n) if row else 0

    def is_delivered(self, tenant: str, name: str, signature: str) -> bool:
        """Whether a delivery of that signature was taken before."""
        with self._database.read() as tx:
            return request_ids.earlier_answer(tx, _DELIVERY, **_delivery(tenant, name, signature)) is not None

    def note_delivery(self, tenant: str, name: str, signature: str) -> None:
        """Remember that a webhook's delivery was taken."""
        with self._database.write() as tx:
            delivery = _delivery(tenant, name, signature)
            if request_ids.earlier_answer(tx, _DELIVERY, **delivery) is None:
                request_ids.remember(tx, _DELIVERY, **delivery, answer=name)


def resource(tenant: str, name: str) -> str:
    """Return the source's resource name."""
    return f"tenants/{tenant}/sources/{name}"


def _delivery(tenant: str, name: str, signature: str) -> dict[str, Any]:
    return {"tenant": tenant, "request_id": _digest(f"{name}:{signature}"), "arguments": {}}


def _new_row(tx: Transaction, tenant: str, new: NewSource, *, actor: str) -> dict[str, Any]:
    fields = _json(asdict(new))
    return {
        "tenant": tenant,
        **{name: value for name, value in fields.items() if name not in _OPTIONS},
        "options": {name: fields[name] for name in _OPTIONS},
        "created_by": actor,
        "created_at": tx.now,
        "next_sync_at": None if new.kind is SourceKind.WEBHOOK else tx.now,
        "removals_accepted": False,
        "failures": 0,
        "error": "",
        "alarm": "",
        "counts": asdict(SyncCounts()),
        "cursor": "",
    }


def _require_room(tx: Transaction, tenant: str, *, max_sources: int) -> None:
    row = tx.row(select(func.count().label("n")).select_from(sources).where(sources.c.tenant == tenant))
    if row is not None and row.n >= max_sources:
        text = f"tenant {tenant} has {row.n} sources and may have no more; remove one, or ask the operator to raise "
        raise QuotaExceeded(
            f"{text}sources.max_per_tenant", retry_seconds=_FULL_RETRY_SECONDS, subject=f"tenants/{tenant}"
        )


def _set(tx: Transaction, tenant: str, name: str, **values: Any) -> None:
    tx.run(update(sources).where(sources.c.tenant == tenant, sources.c.name == name).values(**values))


def _row(tx: Transaction, tenant: str, name: str) -> Row[Any] | None:
    return tx.row(select(sources).where(sources.c.tenant == tenant, sources.c.name == name))


def _must(tx: Transaction, tenant: str, name: str) -> Row[Any]:
    tenants.get(tx, tenant)
    row = _row(tx, tenant, name)
    if row is None:
        raise NotFound(resource(tenant, name), kind="source")
    return row


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _json(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "include": list(fields["include"])}


def _record(row: Row[Any]) -> Source:
    names = [name for name in Source.__dataclass_fields__ if name not in ("kind", "counts", *_OPTIONS)]
    return Source(
        **{name: getattr(row, name) for name in names},
        kind=SourceKind(row.kind),
        counts=SyncCounts(**row.counts),
        include=tuple(row.options["include"]),
        branch=row.options["branch"],
        linked_pages=row.options["linked_pages"],
    )


def _item(row: Row[Any]) -> SourceItem:
    names = [name for name in SourceItem.__dataclass_fields__ if name not in ("state", "superseded")]
    checked: datetime = row.checked_at
    fields = {name: getattr(row, name) for name in names} | {"checked_at": checked}
    return SourceItem(**fields, state=ItemState(row.state), superseded=tuple(row.superseded))
