"""Tenants: making and finding them."""

import hashlib
import re
from typing import Any

from sqlalchemy import Row, func, select, update

from sealserve.errors import AlreadyExists, InvalidArgument, NotFound
from sealserve.records.pages import Page
from sealserve.records.tenants import Tenant
from sealserve.records.validation import require_line
from sealserve.records.versions import BASE_VERSION
from sealserve.registry import audit
from sealserve.registry.sql import paging, request_ids
from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.sql.tables import tenants

NAME = re.compile(r"[a-z][a-z0-9-]{0,61}[a-z0-9]")
MAX_DISPLAY_NAME_LENGTH = 256


class Tenants:
    """Tenants, and which of them the activator looks after."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, tenant: str, *, display_name: str = "", actor: str, request_id: str = "") -> Tenant:
        """Make a tenant that answers with the base model. Raises: InvalidArgument, AlreadyExists."""
        with self._database.write() as tx:
            return create(tx, tenant, display_name=display_name, actor=actor, request_id=request_id)

    def get(self, tenant: str) -> Tenant:
        """Return the tenant. Raises: NotFound."""
        with self._database.read() as tx:
            return get(tx, tenant)

    def page(self, *, only: tuple[str, ...] | None = None, page_size: int = 50, page_token: str = "") -> Page[Tenant]:
        """Return tenants by name, `only` these. Raises: InvalidArgument (page_size, page_token), as every listing."""
        with self._database.read() as tx:
            return pages(tx, only=only, page_size=page_size, page_token=page_token)

    def activated(self) -> tuple[Tenant, ...]:
        """Return every tenant that ever had an activation: those that the activator serves."""
        with self._database.read() as tx:
            return activated(tx)


def etag(tenant: str, activation: int) -> str:
    """Return the etag of `tenant` after its activation of that number."""
    return hashlib.sha256(f"{tenant}:{activation}".encode()).hexdigest()[:16]


def create(tx: Transaction, tenant: str, *, display_name: str, actor: str, request_id: str) -> Tenant:
    """Make the tenant, serving the base model. Raises: InvalidArgument, AlreadyExists."""
    if not NAME.fullmatch(tenant):
        raise InvalidArgument(
            "tenant must be 2 to 63 lower-case letters, digits and hyphens, and begin with a letter", field="tenant_id"
        )
    require_line(display_name, field="display_name", max_length=MAX_DISPLAY_NAME_LENGTH)
    request: dict[str, Any] = {"tenant": tenant, "request_id": request_id, "arguments": {"display_name": display_name}}
    if request_ids.earlier_answer(tx, "create_tenant", **request):
        return get(tx, tenant)
    if tx.row(select(tenants.c.tenant).where(tenants.c.tenant == tenant)):
        raise AlreadyExists(f"tenants/{tenant}", kind="tenant")
    tx.insert(
        tenants,
        [
            {
                "tenant": tenant,
                "display_name": display_name,
                "desired_version": BASE_VERSION,
                "activation": 0,
                "etag": etag(tenant, 0),
                "newest_version": BASE_VERSION,
                "created_at": tx.now,
                "changed": 0,
            }
        ],
    )
    audit.append(tx, "tenant.create", actor=actor, tenant=tenant, subject=f"tenants/{tenant}", details={})
    request_ids.remember(tx, "create_tenant", **request, answer=tenant)
    return get(tx, tenant)


def get(tx: Transaction, tenant: str) -> Tenant:
    """Return the tenant. Raises: NotFound."""
    row = tx.row(select(tenants).where(tenants.c.tenant == tenant)) if NAME.fullmatch(tenant) else None
    if row is None:
        raise NotFound(f"tenants/{tenant}", kind="tenant")
    return _record(row)


def pages(tx: Transaction, *, only: tuple[str, ...] | None, page_size: int, page_token: str) -> Page[Tenant]:
    """Return tenants by name: all, or those named in `only`."""
    return paging.page(
        tx,
        select(tenants) if only is None else select(tenants).where(tenants.c.tenant.in_(only)),
        key=tenants.c.tenant,
        scope="tenants",
        page_size=page_size,
        page_token=page_token,
        convert=_record,
    )


def activated(tx: Transaction) -> tuple[Tenant, ...]:
    """Return every tenant whose pointer was ever moved, by name."""
    query = select(tenants).where(tenants.c.activation > 0).order_by(tenants.c.tenant)
    return tuple(map(_record, tx.rows(query)))


def note_change(tx: Transaction, tenant: str) -> None:
    """Give the tenant the next number of `versions/desired.py`: what should answer it has changed."""
    next_number = select(func.coalesce(func.max(tenants.c.changed), 0) + 1).scalar_subquery()
    tx.run(update(tenants).where(tenants.c.tenant == tenant).values(changed=next_number))


def _record(row: Row[Any]) -> Tenant:
    return Tenant(
        tenant=row.tenant,
        display_name=row.display_name,
        desired_version=row.desired_version,
        activation=row.activation,
        etag=row.etag,
        created_at=row.created_at,
    )
