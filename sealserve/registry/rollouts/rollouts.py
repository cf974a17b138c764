"""Watches over new versions and the traffic between two versions of a tenant. Judges nothing.

One watch is open per tenant at most, and everything that ends one also checks that it is still open, in the same
transaction: what two replicas decide at once happens once.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, func, select, update

from sealserve import fault_injection
from sealserve.errors import FailedPrecondition, InvalidArgument, NotFound
from sealserve.records.feedback import VersionFeedback
from sealserve.records.pages import Page
from sealserve.records.rollouts import WATCH_ACTOR, Count, Standby, Traffic, Trigger, Watch, WatchState
from sealserve.records.tenants import Tenant
from sealserve.records.validation import require_short
from sealserve.records.versions import BASE_VERSION, Activation, VersionState
from sealserve.registry import tenants
from sealserve.registry.rollouts import thumbs
from sealserve.registry.sql import paging, request_ids
from sealserve.registry.sql import tables as t
from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.sql.rollout_tables import traffic, watch_counts, watches
from sealserve.registry.versions import activations, version_rows

Counted = Mapping[Count, int]

TOLERANCE = 1e-6
"""By so much shares may miss 1: they are decimal fractions on their way here."""


class Rollouts:
    """Watches over new versions and the traffic between two versions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # traffic
    def standby(self, tenant: str) -> Standby | None:
        """Return the version beside the active one, if there is one now. Raises: NotFound (tenant)."""
        with self._database.read() as tx:
            tenants.get(tx, tenant)
            return find_standbys(tx, among=[tenant]).get(tenant)

    def standbys(self) -> dict[str, Standby]:
        """Return every tenant's second version, of those that have one now."""
        with self._database.read() as tx:
            return find_standbys(tx)

    def traffic(self, tenant: str) -> Traffic:
        """Return how new requests are shared now. Raises: NotFound (tenant)."""
        with self._database.read() as tx:
            return _traffic(tx, tenant)

    def set_traffic(
        self,
        tenant: str,
        shares: Mapping[int, float],
        *,
        expected_etag: str | None,
        actor: str,
        reason: str = "",
        request_id: str = "",
    ) -> Traffic:
        """Share new requests between the active version and one that was active before; the active one alone ends it.

        From here on no policy moves the traffic of an open watch. The same request_id again changes nothing.
        Raises: NotFound, InvalidArgument (shares), FailedPrecondition (a version that may not answer), Conflict.
        """
        require_short(reason, field="reason")
        _require_shares(shares)
        arguments = {"shares": {str(name): share for name, share in shares.items()}, "etag": expected_etag}
        request: dict[str, Any] = {"tenant": tenant, "request_id": request_id, "arguments": arguments}
        with self._database.write() as tx:
            owner = tenants.get(tx, tenant)
            if request_ids.earlier_answer(tx, "set_traffic", **request):
                return _traffic(tx, tenant)
            version, share = _other(tx, owner, shares)
            done = activations.spread(
                tx, tenant, share=share, version=version, expected_etag=expected_etag, actor=actor, reason=reason
            )
            tx.run(update(watches).where(*_open_of(tenant)).values(stage=None))
            request_ids.remember(tx, "set_traffic", **request, answer=str(done.activation))
            return _traffic(tx, tenant)

    # watches
    def open(self, tenant: str, *, share: float) -> Watch | None:
        """Open the watch over the tenant's present version, of which the incumbent keeps `share` of new requests.

        None when there is nothing to watch: the present version was not promoted, or its watch has ended. The same
        watch again while it is open. Raises: NotFound (tenant).
        """
        with self._database.read() as tx:
            if (known := _unwatched(tx, tenant)) is None:
                return _open(tx, tenant)
        with self._database.write() as tx:
            owner, found = tenants.get(tx, tenant), _unwatched(tx, tenant)
            if found is None or found != known:
                return _open(tx, tenant)
            row = {
                "tenant": tenant, "activation": owner.activation, "version": found.version,
                "incumbent": found.previous, "state": WatchState.OPEN, "stage": 0, "trigger": "", "reason": "",
                "opened_at": tx.now, "staged_at": tx.now, "decided_at": None,
            }  # fmt: skip
            tx.insert(watches, [row])
            kept = share if version_rows.is_ready(tx, tenant, found.previous) else 0.0
            _spread(tx, owner, incumbent=found.previous, share=kept, stage=0)
            opened = _one(tx, tenant, owner.activation)
            fault_injection.point("registry.rollouts.open.before_commit")
        fault_injection.point("registry.rollouts.open.after_commit")
        return opened

    def move_stage(self, watch: Watch, stage: int, *, share: float) -> bool:
        """Enter a later stage, in which the incumbent keeps `share`; False if somebody was first or it has ended."""
        with self._database.write() as tx:
            same = watches.c.activation == watch.activation, watches.c.stage == watch.stage
            values = {"stage": stage, "staged_at": tx.now}
            if not tx.run(update(watches).where(*_open_of(watch.tenant), *same).values(**values)):
                return False
            _spread(tx, tenants.get(tx, watch.tenant), incumbent=watch.incumbent, share=share, stage=stage)
            fault_injection.point("registry.rollouts.move_stage.before_commit")
        fault_injection.point("registry.rollouts.move_stage.after_commit")
        return True

    def add_counts(self, replica: str, counted: Mapping[tuple[str, int], Counted]) -> None:
        """Add to what this replica counted, by (tenant, activation) of the watch; SLOW_WINDOWS is set, not added.

        Watches that do not exist are passed over.
        """
        with self._database.write() as tx:
            for (tenant, activation), counts in counted.items():
                if _one(tx, tenant, activation) is not None:
                    _add(tx, {"tenant": tenant, "activation": activation, "replica": replica}, counts)

    def open_watches(self) -> tuple[Watch, ...]:
        """Return every open watch with its counts, by tenant."""
        with self._database.read() as tx:
            rows = tx.rows(select(watches).where(watches.c.state == WatchState.OPEN).order_by(watches.c.tenant))
            counts = _counts(tx, watches.c.state == WatchState.OPEN)
            return tuple(_record(row, counts) for row in rows)

    def thumbs(self) -> dict[tuple[str, int], VersionFeedback]:
        """Return the votes on both versions of every open watch, by (tenant, version); see `thumbs.py`."""
        with self._database.read() as tx:
            return thumbs.of_open_watches(tx)

    def get(self, tenant: str, activation: int) -> Watch:
        """Return the watch over that activation. Raises: NotFound."""
        with self._database.read() as tx:
            found = _one(tx, tenant, activation)
        if found is None:
            raise NotFound(f"tenants/{tenant}/watches/{activation}", kind="watch")
        return found

    def page(self, tenant: str, *, page_size: int = 50, page_token: str = "") -> Page[Watch]:
        """Return the tenant's watches, newest first. Raises: NotFound (tenant), InvalidArgument."""
        with self._database.read() as tx:
            tenants.get(tx, tenant)
            return paging.page(
                tx,
                select(watches).where(watches.c.tenant == tenant),
                key=watches.c.activation,
                scope=f"watches:{tenant}",
                page_size=page_size,
                page_token=page_token,
                convert=lambda row: _record(row, _counts(tx, _is(row))),
                newest_first=True,
            )

    def end(self, watch: Watch, state: WatchState, *, reason: str = "") -> bool:
        """End the watch without moving the pointer (PASSED, REFUSED); False if it had ended already.

        An incumbent that got no requests any more is no longer kept beside the active version.
        """
        with self._database.write() as tx:
            same = (*_open_of(watch.tenant), watches.c.activation == watch.activation)
            values = {"state": state, "reason": reason, "decided_at": tx.now}
            if not tx.run(update(watches).where(*same).values(**values)):
                return False
            tx.run(traffic.delete().where(traffic.c.tenant == watch.tenant, traffic.c.share == 0))
            tenants.note_change(tx, watch.tenant)
            fault_injection.point("registry.rollouts.end.before_commit")
        fault_injection.point("registry.rollouts.end.after_commit")
        return True

    def roll_back(self, watch: Watch, *, trigger: Trigger, reason: str, decided_at: datetime) -> Activation | None:
        """End the watch and move the pointer back, in one transaction; None if the watch had ended already.

        Raises: FailedPrecondition (nothing to go back to).
        """
        with self._database.write() as tx:
            same = (*_open_of(watch.tenant), watches.c.activation == watch.activation)
            values = {"state": WatchState.ROLLED_BACK, "trigger": trigger, "reason": reason, "decided_at": decided_at}
            if not tx.run(update(watches).where(*same).values(**values)):
                return None
            done = activations.rollback(
                tx,
                watch.tenant,
                to_version=None,
                expected_etag=tenants.get(tx, watch.tenant).etag,
                actor=WATCH_ACTOR,
                reason=f"{trigger}: {reason}",
            )
            fault_injection.point("registry.rollouts.roll_back.before_commit")
        fault_injection.point("registry.rollouts.roll_back.after_commit")
        return done


def _traffic(tx: Transaction, tenant: str) -> Traffic:
    owner, beside = tenants.get(tx, tenant), find_standbys(tx, among=[tenant]).get(tenant)
    shares = {owner.desired_version: 1.0}
    if beside is not None:
        shares = {owner.desired_version: 1 - beside.share, beside.version: beside.share}
    return Traffic(tenant=tenant, shares=shares, activation=owner.activation, etag=owner.etag)


def _require_shares(shares: Mapping[int, float]) -> None:
    if not 1 <= len(shares) <= 2 or not all(0 <= share <= 1 for share in shares.values()):
        raise InvalidArgument("requests are shared between one or two versions, 0 to 1 each", field="shares")
    if abs(sum(shares.values()) - 1) > TOLERANCE:
        raise InvalidArgument(f"the shares are {sum(shares.values()):g} together, not 1", field="shares")


def _other(tx: Transaction, owner: Tenant, shares: Mapping[int, float]) -> tuple[int, float]:
    """Return the version beside the active one, and its share. Raises: FailedPrecondition."""
    if owner.desired_version not in shares:
        text = f"the active version {owner.desired_version} must be one of them; to leave it, roll back"
        raise FailedPrecondition(text, reason="ACTIVE_VERSION_MISSING")
    others = [(version, share) for version, share in shares.items() if version != owner.desired_version]
    if others:
        return others[0]
    beside = find_standbys(tx, among=[owner.tenant]).get(owner.tenant)
    if beside is None:
        raise FailedPrecondition("the active version has all requests already", reason="NOTHING_SHARED")
    return beside.version, 0.0


def _unwatched(tx: Transaction, tenant: str) -> Activation | None:
    """Return the tenant's present activation if it is a promotion over which no watch was ever opened."""
    owner = tenants.get(tx, tenant)
    found = activations.get(tx, tenant, owner.activation) if owner.activation else None
    is_new = found is not None and found.kind == "promote" and _one(tx, tenant, found.activation) is None
    return found if is_new else None


def _open(tx: Transaction, tenant: str) -> Watch | None:
    row = tx.row(select(watches).where(*_open_of(tenant)))
    return None if row is None else _record(row, _counts(tx, _is(row)))


def _spread(tx: Transaction, owner: Tenant, *, incumbent: int, share: float, stage: int) -> None:
    """Keep the incumbent beside the active version, with `share`; a share that changes is an activation."""
    present = find_standbys(tx, among=[owner.tenant]).get(owner.tenant)
    if share == (present.share if present else 0.0):
        if present is None and version_rows.is_ready(tx, owner.tenant, incumbent):
            row = {"tenant": owner.tenant, "activation": owner.activation, "version": incumbent, "share": share}
            tx.insert(traffic, [row])
            tenants.note_change(tx, owner.tenant)
        return
    reason = f"stage {stage + 1} of the watch"
    activations.spread(
        tx, owner.tenant, share=share, version=incumbent, expected_etag=owner.etag, actor=WATCH_ACTOR, reason=reason
    )


def find_standbys(tx: Transaction, *, among: Sequence[str] | None = None) -> dict[str, Standby]:
    """Return the second versions of these tenants, of all if `among` is None.

    A version that may not be loaded any more is not a standby.
    """
    is_present = (t.tenants.c.tenant == traffic.c.tenant) & (t.tenants.c.activation == traffic.c.activation)
    is_same = (t.versions.c.tenant == traffic.c.tenant) & (t.versions.c.version == traffic.c.version)
    may_answer = (traffic.c.version == BASE_VERSION) | (t.versions.c.state == VersionState.READY)
    query = select(traffic).join(t.tenants, is_present).outerjoin(t.versions, is_same).where(may_answer)
    if among is not None:
        query = query.where(traffic.c.tenant.in_(among))
    return {
        row.tenant: Standby(activation=row.activation, version=row.version, share=row.share) for row in tx.rows(query)
    }


def _open_of(tenant: str) -> tuple[Any, ...]:
    return watches.c.tenant == tenant, watches.c.state == WatchState.OPEN


def _is(row: Row[Any]) -> ColumnElement[bool]:
    return and_(watches.c.tenant == row.tenant, watches.c.activation == row.activation)


def _add(tx: Transaction, place: dict[str, Any], counts: Counted) -> None:
    table = watch_counts
    at = [table.c[name] == value for name, value in place.items()]
    known = {row.name: row.value for row in tx.rows(select(table).where(*at))}
    rows = [
        {**place, "name": name.value, "value": value if name is Count.SLOW_WINDOWS else known.get(name, 0) + value}
        for name, value in counts.items()
    ]
    tx.upsert(table, rows, key=("tenant", "activation", "replica", "name"))


def _one(tx: Transaction, tenant: str, activation: int) -> Watch | None:
    same = (watches.c.tenant == tenant) & (watches.c.activation == activation)
    row = tx.row(select(watches).where(same))
    return None if row is None else _record(row, _counts(tx, same))


def _record(row: Row[Any], counts: Mapping[tuple[str, int], Counted]) -> Watch:
    found = counts.get((row.tenant, row.activation), {})
    return Watch(
        tenant=row.tenant,
        activation=row.activation,
        version=row.version,
        incumbent=row.incumbent,
        state=WatchState(row.state),
        stage=row.stage,
        trigger=Trigger(row.trigger) if row.trigger else None,
        reason=row.reason,
        counts={count: found.get(count, 0) for count in Count},
        opened_at=row.opened_at,
        staged_at=row.staged_at,
        decided_at=row.decided_at,
    )


def _counts(tx: Transaction, which: ColumnElement[bool]) -> dict[tuple[str, int], dict[Count, int]]:
    """The counts of these watches, over all replicas; the worst replica's where a sum says nothing."""
    table = watch_counts
    total = case((table.c.name == Count.SLOW_WINDOWS, func.max(table.c.value)), else_=func.sum(table.c.value))
    is_theirs = (watches.c.tenant == table.c.tenant) & (watches.c.activation == table.c.activation)
    of_watch = (table.c.tenant, table.c.activation, table.c.name)
    found: dict[tuple[str, int], dict[Count, int]] = {}
    for row in tx.rows(
        select(*of_watch, total.label("total")).join(watches, is_theirs).where(which).group_by(*of_watch)
    ):
        found.setdefault((row.tenant, row.activation), {})[Count(row.name)] = int(row.total)
    return found
