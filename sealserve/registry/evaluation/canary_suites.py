"""Canary suites and the trend of versions in them. A suite never changes; other contents are a version."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Column, Row, Select, func, select, update

from sealserve.canonical import Json, canonical_json
from sealserve.errors import FailedPrecondition, InvalidArgument, NotFound
from sealserve.records.canary_suites import CanaryItem, CanaryResult, CanarySuite
from sealserve.records.pages import Page
from sealserve.records.validation import require_line
from sealserve.registry import audit, tenants
from sealserve.registry.evaluation.room import require_room, without_items
from sealserve.registry.sql import paging, request_ids
from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.sql.evaluation_tables import canary_results, canary_suites
from sealserve.settings.limits import LimitSettings

NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
ITEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
SHIPPED = ("canary", "unknown", "replay", "confirm", "formats", "long-answers", "refusals", "injections", "dangers")
"""Names that scorecards use already."""

MAX_ITEMS = 2000
MAX_SUITES = 20
"""Live at once, per tenant: every one of them is asked in every cycle."""

MAX_PROMPT_LENGTH = 4000
MAX_ANSWER_LENGTH = 500
MAX_KIND_LENGTH = 40


class CanarySuites:
    """Canary suites and how versions did in them."""

    def __init__(self, database: Database, limits: LimitSettings) -> None:
        self._database = database
        self._limits = limits

    def put(
        self, tenant: str, name: str, items: Sequence[CanaryItem], *, actor: str, request_id: str = ""
    ) -> tuple[CanarySuite, bool]:
        """Keep `items` as the newest version of `name`; (suite, False) when the newest, if live, has these very items.

        A retired suite is asked again from here on. Raises: NotFound (tenant), InvalidArgument (name, items,
        request_id used before), FailedPrecondition (MAX_SUITES live), QuotaExceeded.
        """
        _require_sound(name, items)
        rows = [asdict(item) | {"choices": list(item.choices)} for item in items]
        data = canonical_json(rows).encode()
        digest = hashlib.sha256(data).hexdigest()
        with self._database.write() as tx:
            tenants.get(tx, tenant)
            asked: Json = {"name": name, "digest": digest}
            method = "canary.put"
            done = request_ids.earlier_answer(tx, method, tenant=tenant, request_id=request_id, arguments=asked)
            if done is not None:
                return _record(_must(tx, tenant, name, version=int(done))), False
            newest = _newest(tx, tenant, name)
            is_known = newest is not None and newest.digest == digest and newest.retired_at is None
            if not is_known:
                require_room(tx, tenant, size_bytes=len(data), limits=self._limits)
                made = {"items": rows, "item_count": len(rows), "size_bytes": len(data), "digest": digest}
                newest = _add(tx, tenant, name, made=made, actor=actor, newest=newest)
            assert newest is not None
            answer = str(newest.version)
            request_ids.remember(tx, method, tenant=tenant, request_id=request_id, arguments=asked, answer=answer)
            return _record(newest), not is_known

    def retire(self, tenant: str, name: str, *, actor: str, reason: str = "") -> CanarySuite:
        """Ask the suite no more; its versions and results stay. Twice is the same as once.

        A cycle that is measuring goes on with what it began with. Raises: NotFound, InvalidArgument (reason).
        """
        require_line(reason, field="reason")
        table = canary_suites
        with self._database.write() as tx:
            newest = _must(tx, tenant, name)
            if newest.retired_at is None:
                tx.run(update(table).where(table.c.sequence == newest.sequence).values(retired_at=tx.now))
                details = {"version": newest.version, "reason": reason}
                audit.append(
                    tx, "canary.retire", actor=actor, tenant=tenant, subject=_subject(tenant, name), details=details
                )
            return _record(_must(tx, tenant, name))

    def get(self, tenant: str, name: str, *, version: int = 0) -> CanarySuite:
        """Return a version of a suite; 0 is the newest. Raises: NotFound."""
        with self._database.read() as tx:
            return _record(_must(tx, tenant, name, version=version))

    def page(self, tenant: str, *, page_size: int = 50, page_token: str = "") -> Page[CanarySuite]:
        """Return every version of every suite, newest first, without items.

        Raises: NotFound (tenant), InvalidArgument.
        """
        with self._database.read() as tx:
            tenants.get(tx, tenant)
            return paging.page(
                tx,
                select(*without_items(canary_suites)).where(canary_suites.c.tenant == tenant),
                key=canary_suites.c.sequence,
                scope=f"canary_suites:{tenant}",
                page_size=page_size,
                page_token=page_token,
                convert=_record,
                newest_first=True,
            )

    def live(self, tenant: str) -> tuple[CanarySuite, ...]:
        """Return the newest version of each of the tenant's suites that is not retired, by name."""
        with self._database.read() as tx:
            return tuple(map(_record, tx.rows(_live(tenant, *canary_suites.c).order_by(canary_suites.c.name))))

    def add_results(self, results: Sequence[CanaryResult]) -> None:
        """Keep points of the trend, all or none. Raises: NotFound (tenant)."""
        with self._database.write() as tx:
            for tenant in {one.tenant for one in results}:
                tenants.get(tx, tenant)
            if results:
                tx.insert(canary_results, [asdict(one) | {"fell": list(one.fell)} for one in results])

    def results(self, tenant: str, *, suite: str = "", page_size: int = 50, page_token: str = "") -> Page[CanaryResult]:
        """Return points of the trend, newest first, of one suite if named. Raises: NotFound, InvalidArgument."""
        query = select(canary_results).where(canary_results.c.tenant == tenant)
        if suite:
            query = query.where(canary_results.c.suite == suite)
        with self._database.read() as tx:
            tenants.get(tx, tenant)
            return paging.page(
                tx,
                query,
                key=canary_results.c.sequence,
                scope=f"canary_results:{tenant}:{suite}",
                page_size=page_size,
                page_token=page_token,
                convert=_result,
                newest_first=True,
            )


def _add(tx: Transaction, tenant: str, name: str, *, made: Json, actor: str, newest: Row[Any] | None) -> Row[Any]:
    is_live = newest is not None and newest.retired_at is None
    if not is_live and len(tx.rows(_live(tenant, canary_suites.c.name))) >= MAX_SUITES:
        raise FailedPrecondition(f"{tenant} has {MAX_SUITES} suites; retire one first", reason="TOO_MANY_SUITES")
    version = 1 if newest is None else newest.version + 1
    row = {"tenant": tenant, "name": name, "version": version, "actor": actor}
    tx.insert(canary_suites, [row | made | {"created_at": tx.now, "retired_at": None}])
    details = {"version": version, "items": made["item_count"], "digest": made["digest"]}
    audit.append(tx, "canary.put", actor=actor, tenant=tenant, subject=_subject(tenant, name), details=details)
    return _must(tx, tenant, name)


def _live(tenant: str, *columns: Column[Any]) -> Select[Any]:
    table = canary_suites
    newest = select(func.max(table.c.sequence)).where(table.c.tenant == tenant).group_by(table.c.name)
    return select(*columns).where(table.c.sequence.in_(newest), table.c.retired_at.is_(None))


def _newest(tx: Transaction, tenant: str, name: str, *, version: int = 0) -> Row[Any] | None:
    table = canary_suites
    query = select(table).where(table.c.tenant == tenant, table.c.name == name)
    if version:
        query = query.where(table.c.version == version)
    return tx.row(query.order_by(table.c.version.desc()).limit(1))


def _must(tx: Transaction, tenant: str, name: str, *, version: int = 0) -> Row[Any]:
    row = _newest(tx, tenant, name, version=version)
    if row is None:
        raise NotFound(_subject(tenant, name), kind="canary suite")
    return row


def _require_sound(name: str, items: Sequence[CanaryItem]) -> None:
    if not NAME.fullmatch(name) or name in SHIPPED:
        text = "the name of a suite has 1 to 63 lower-case letters, digits and hyphens, begins with a letter, and is "
        raise InvalidArgument(text + f"none of {', '.join(SHIPPED)}", field="suite_id")
    if not 1 <= len(items) <= MAX_ITEMS:
        raise InvalidArgument(f"a suite has 1 to {MAX_ITEMS} items, not {len(items)}", field="items")
    ids: set[str] = set()
    prompts: set[str] = set()
    for number, item in enumerate(items, start=1):
        if fault := _fault(item, ids=ids, prompts=prompts):
            raise InvalidArgument(f"item {number} ({item.item[:64]!r}): {fault}", field="items")
        ids.add(item.item)
        prompts.add(item.prompt.strip().casefold())


def _fault(item: CanaryItem, *, ids: set[str], prompts: set[str]) -> str:
    if not ITEM.fullmatch(item.item):
        return "an id has 1 to 64 letters, digits, dots, hyphens and underscores"
    if item.item in ids:
        return "this id is in the suite already"
    if not item.prompt.strip() or len(item.prompt) > MAX_PROMPT_LENGTH:
        return f"a prompt has 1 to {MAX_PROMPT_LENGTH} characters"
    if item.prompt.strip().casefold() in prompts:
        return "this prompt is in the suite already and would count twice"
    if max(map(len, (item.answer, *item.choices))) > MAX_ANSWER_LENGTH:
        return f"an answer or choice has at most {MAX_ANSWER_LENGTH} characters"
    if len(item.kind) > MAX_KIND_LENGTH or not item.kind.isprintable():
        return f"a kind has at most {MAX_KIND_LENGTH} printable characters"
    return ""


def _subject(tenant: str, name: str) -> str:
    return f"tenants/{tenant}/canarySuites/{name}"


def _record(row: Row[Any]) -> CanarySuite:
    return CanarySuite(
        tenant=row.tenant,
        name=row.name,
        version=row.version,
        items=tuple(
            CanaryItem(**{**item, "choices": tuple(item["choices"])}) for item in row._mapping.get("items", ())
        ),
        item_count=row.item_count,
        digest=row.digest,
        actor=row.actor,
        created_at=row.created_at,
        retired_at=row.retired_at,
    )


def _result(row: Row[Any]) -> CanaryResult:
    fields = {name: getattr(row, name) for name in CanaryResult.__dataclass_fields__}
    return CanaryResult(**{**fields, "fell": tuple(row.fell)})
