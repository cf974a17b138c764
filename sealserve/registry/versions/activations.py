"""A tenant's pointer: which version should answer, moved by compare-and-set, forwards or back.

Activations form a stack kept as a linked list: a promote lays one on top of the present one, a rollback lays a
copy of a lower one, so that rolling back twice goes back two, and a change of traffic lays a copy of the present
one. A suspension lays a copy of a lower one too, for a while: the documents of the version that it takes out of
service stay learned.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, select, update

from sealserve.canonical import Json
from sealserve.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound
from sealserve.records.documents import DocumentState
from sealserve.records.pages import Page
from sealserve.records.rollouts import WatchState
from sealserve.records.tenants import Tenant
from sealserve.records.validation import require_short
from sealserve.records.versions import BASE_VERSION, Activation, Observed, VersionState
from sealserve.registry import audit, replicas, state_machine, tenants
from sealserve.registry.documents import document_rows
from sealserve.registry.sql import paging, request_ids
from sealserve.registry.sql import tables as t
from sealserve.registry.sql.database import Transaction
from sealserve.registry.sql.rollout_tables import traffic, watches
from sealserve.registry.versions import held, version_rows

TRAFFIC = "traffic"
"""Kind of an activation that leaves the desired version as it is."""

SUSPEND, RESUME = "suspend", "resume"
"""Kinds of the activations that take the desired version out of service for a while, and put it back."""


def promote(
    tx: Transaction,
    tenant: str,
    version: int,
    *,
    expected_etag: str | None,
    actor: str,
    reason: str,
    request_id: str = "",
) -> Activation:
    """Make `version` the desired one. Raises: NotFound, InvalidArgument, FailedPrecondition, Conflict."""
    require_short(reason, field="reason")
    owner = tenants.get(tx, tenant)
    arguments = {"version": version, "expected_etag": expected_etag, "reason": reason}
    request: dict[str, Any] = {"tenant": tenant, "request_id": request_id, "arguments": arguments}
    if earlier := request_ids.earlier_answer(tx, "promote", **request):
        return get(tx, tenant, int(earlier))
    if version == BASE_VERSION:
        raise InvalidArgument("the base model is not promoted; roll back to it", field="name")
    _require_etag(owner, expected_etag)
    version_rows.require_ready(tx, tenant, version)
    _require_change(owner, version)
    held.require_released(tx, tenant, version)
    below = owner.activation or None
    done = _move(tx, owner, _Move(version=version, below=below, kind="promote"), actor=actor, reason=reason)
    request_ids.remember(tx, "promote", **request, answer=str(done.activation))
    return done


def rollback(
    tx: Transaction,
    tenant: str,
    *,
    to_version: int | None,
    expected_etag: str | None,
    actor: str,
    reason: str,
    request_id: str = "",
) -> Activation:
    """Make an earlier version the desired one. Raises: NotFound, FailedPrecondition, Conflict."""
    require_short(reason, field="reason")
    owner = tenants.get(tx, tenant)
    arguments = {"to_version": to_version, "expected_etag": expected_etag, "reason": reason}
    request: dict[str, Any] = {"tenant": tenant, "request_id": request_id, "arguments": arguments}
    if earlier := request_ids.earlier_answer(tx, "rollback", **request):
        return get(tx, tenant, int(earlier))
    _require_etag(owner, expected_etag)
    if to_version is not None:
        version_rows.require_ready(tx, tenant, to_version)
        _require_change(owner, to_version)
    version, below = _earlier(tx, owner, to_version=to_version)
    done = _move(tx, owner, _Move(version=version, below=below, kind="rollback"), actor=actor, reason=reason)
    request_ids.remember(tx, "rollback", **request, answer=str(done.activation))
    return done


def spread(
    tx: Transaction, tenant: str, *, share: float, version: int, expected_etag: str | None, actor: str, reason: str
) -> Activation:
    """Give `version` that share of new requests, beside the desired one, which keeps the rest.

    Raises: NotFound, FailedPrecondition (not active before the present one, quarantined), Conflict.
    """
    owner = tenants.get(tx, tenant)
    _require_etag(owner, expected_etag)
    if version != BASE_VERSION:
        version_rows.require_ready(tx, tenant, version)
    _require_change(owner, version)
    _earlier(tx, owner, to_version=version)
    row = tx.row(_one(tenant, owner.activation))
    below = row.below if row is not None else None
    details = {"other": version, "share": share}
    move = _Move(version=owner.desired_version, below=below, kind=TRAFFIC, details=details)
    done = _move(tx, owner, move, actor=actor, reason=reason)
    tx.insert(traffic, [{"tenant": tenant, "activation": done.activation, "version": version, "share": share}])
    return done


def suspend(tx: Transaction, tenant: str, version: int, *, actor: str, reason: str) -> Activation | None:
    """Let the version before it answer while `version` is suspected; None if it is not the desired one.

    It stays ready: `resume` or a promotion brings it back. Raises: NotFound.
    """
    owner = tenants.get(tx, tenant)
    if version == BASE_VERSION or owner.desired_version != version:
        return None
    earlier, below = _earlier(tx, owner, to_version=None)
    return _move(tx, owner, _Move(version=earlier, below=below, kind=SUSPEND), actor=actor, reason=reason)


def resume(tx: Transaction, tenant: str, version: int, *, actor: str, reason: str) -> Activation | None:
    """Put `version` back that `suspend` took out of service; None if anything has moved the pointer since.

    Raises: NotFound.
    """
    owner = tenants.get(tx, tenant)
    newest = tx.row(_one(tenant, owner.activation))
    if newest is None or (newest.kind, newest.previous) != (SUSPEND, version):
        return None
    if not version_rows.is_ready(tx, tenant, version):
        return None
    move = _Move(version=version, below=owner.activation, kind=RESUME)
    return _move(tx, owner, move, actor=actor, reason=reason)


def leave_quarantined(tx: Transaction, tenant: str, version: int, *, actor: str, reason: str) -> None:
    """Roll back if `version`, just quarantined, is the desired one."""
    if tenants.get(tx, tenant).desired_version == version:
        rollback(tx, tenant, to_version=None, expected_etag=None, actor=actor, reason=reason)


def get(tx: Transaction, tenant: str, activation: int) -> Activation:
    """Return the activation of that number. Raises: NotFound."""
    row = tx.row(_one(tenant, activation))
    if row is None:
        raise NotFound(f"tenants/{tenant}/activations/{activation}", kind="activation")
    return _record(row)


def pages(tx: Transaction, tenant: str, *, page_size: int, page_token: str) -> Page[Activation]:
    """Return the tenant's activations, newest first. Raises: NotFound (tenant), InvalidArgument."""
    tenants.get(tx, tenant)
    return paging.page(
        tx,
        select(t.activations).where(t.activations.c.tenant == tenant),
        key=t.activations.c.activation,
        scope=f"{tenant}/activations",
        page_size=page_size,
        page_token=page_token,
        convert=_record,
        newest_first=True,
    )


def record_observed(tx: Transaction, *observed: Observed) -> None:
    """Record which versions a replica serves, in place of its last reports. Raises: NotFound (tenant)."""
    names = ("tenant", "replica", "version", "activation", "observed_at")
    for one in observed:
        tenants.get(tx, one.tenant)
    tx.upsert(t.observed, [{name: getattr(one, name) for name in names} for one in observed], key=("tenant", "replica"))


def observed(tx: Transaction, tenant: str) -> tuple[Observed, ...]:
    """Return the last report of each replica that is alive. Raises: NotFound (tenant)."""
    tenants.get(tx, tenant)
    is_alive = t.observed.c.replica.in_(replicas.alive(tx))
    query = select(t.observed).where(t.observed.c.tenant == tenant, is_alive).order_by(t.observed.c.replica)
    return tuple(Observed(**row._mapping) for row in tx.rows(query))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """What a new activation is: the version it makes the desired one, and the activation below it in the stack.

    `details` are for the audit log.
    """

    version: int
    below: int | None
    kind: str
    details: Json = field(default_factory=dict)


def _move(tx: Transaction, owner: Tenant, move: _Move, *, actor: str, reason: str) -> Activation:
    number = owner.activation + 1
    moved = tx.run(
        update(t.tenants)
        .where(t.tenants.c.tenant == owner.tenant, t.tenants.c.etag == owner.etag)
        .values(desired_version=move.version, activation=number, etag=tenants.etag(owner.tenant, number))
    )
    if moved != 1:
        raise _clash(owner)
    tx.insert(
        t.activations,
        [
            {
                "tenant": owner.tenant,
                "activation": number,
                "version": move.version,
                "previous": owner.desired_version,
                "below": move.below,
                "kind": move.kind,
                "actor": actor,
                "reason": reason,
                "created_at": tx.now,
            }
        ],
    )
    tenants.note_change(tx, owner.tenant)
    if move.kind != TRAFFIC:
        own = watches.c.tenant == owner.tenant, watches.c.state == WatchState.OPEN
        tx.run(update(watches).where(*own).values(state=WatchState.SUPERSEDED, decided_at=tx.now))
    learned, withdrawn = _settle_documents(tx, owner, version=move.version, kind=move.kind)
    audit.append(
        tx,
        f"adapter.{move.kind}",
        actor=actor,
        tenant=owner.tenant,
        subject=version_rows.resource(owner.tenant, move.version),
        details={
            "activation": number,
            "previous": owner.desired_version,
            "reason": reason,
            "learned": list(learned),
            "withdrawn": list(withdrawn),
            **move.details,
        },
    )
    return get(tx, owner.tenant, number)


def _settle_documents(
    tx: Transaction, owner: Tenant, *, version: int, kind: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    held = set(version_rows.held_documents(tx, owner.tenant, version))
    learned = document_rows.held_in(tx, owner.tenant, version, states=state_machine.PROMOTABLE)
    left = () if kind == SUSPEND else _left(tx, owner)
    withdrawn = tuple(name for name in left if name not in held)
    document_rows.move(tx, owner.tenant, learned, to=DocumentState.LEARNED, reason="")
    why = f"{kind} from version {owner.desired_version} to {version}"
    document_rows.move(tx, owner.tenant, withdrawn, to=DocumentState.WITHDRAWN, reason=why)
    return learned, withdrawn


def _left(tx: Transaction, owner: Tenant) -> tuple[str, ...]:
    """Return the learned documents of the version that is left, and of one that is suspended in its favour."""
    newest = tx.row(_one(owner.tenant, owner.activation))
    versions = {owner.desired_version} | ({newest.previous} if newest is not None and newest.kind == SUSPEND else set())
    found = (document_rows.held_in(tx, owner.tenant, one, states=[DocumentState.LEARNED]) for one in sorted(versions))
    return tuple(dict.fromkeys(name for names in found for name in names))


def _earlier(tx: Transaction, owner: Tenant, *, to_version: int | None) -> tuple[int, int | None]:
    row = tx.row(_one(owner.tenant, owner.activation))
    while row is not None and row.version != BASE_VERSION:
        row = tx.row(_one(owner.tenant, row.below)) if row.below is not None else None
        version = row.version if row is not None else BASE_VERSION
        if _is_answer(tx, owner, version=version, to_version=to_version):
            return version, row.below if row is not None else None
    if to_version is None:
        raise FailedPrecondition(
            f"tenant {owner.tenant} answers with the base model: nothing was active before it",
            reason="NOTHING_TO_ROLL_BACK",
        )
    raise FailedPrecondition(
        f"{version_rows.resource(owner.tenant, to_version)} was not active before the present version; "
        "promote it instead",
        reason="NOT_ACTIVE_BEFORE",
    )


def _is_answer(tx: Transaction, owner: Tenant, *, version: int, to_version: int | None) -> bool:
    if to_version is not None:
        return version == to_version
    if version == BASE_VERSION:
        return True
    is_ready = version_rows.get(tx, owner.tenant, version).state is VersionState.READY
    return is_ready and version != owner.desired_version


def _require_etag(owner: Tenant, expected_etag: str | None) -> None:
    if expected_etag is not None and expected_etag != owner.etag:
        raise _clash(owner)


def _clash(owner: Tenant) -> Conflict:
    return Conflict(
        f"tenant {owner.tenant} was changed by somebody else: it answers with version {owner.desired_version} now; "
        "read it again, then retry"
    )


def _require_change(owner: Tenant, version: int) -> None:
    if version == owner.desired_version:
        raise FailedPrecondition(
            f"{version_rows.resource(owner.tenant, version)} is active already", reason="ALREADY_ACTIVE"
        )


def _one(tenant: str, activation: int) -> Any:
    return select(t.activations).where(t.activations.c.tenant == tenant, t.activations.c.activation == activation)


def _record(row: Row[Any]) -> Activation:
    return Activation(
        tenant=row.tenant,
        activation=row.activation,
        version=row.version,
        previous=row.previous,
        kind=row.kind,
        actor=row.actor,
        reason=row.reason,
        created_at=row.created_at,
    )
