"""Who calls: roles, principals, and the tokens they show. Pure: no storage, no wire.

A token's secret exists in the hands of its owner only; everybody else keeps its digest.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sealserve.errors import InvalidArgument, Unauthenticated

SECRET_PREFIX = "sealserve_"
"""How a secret begins: people and secret scanners know it at sight."""


MAX_SECRET_CHARACTERS = 128


MAX_TOKEN_DAYS = 3650


_SECRET_BYTES = 32


class Role(StrEnum):
    """What a principal may do; `INCLUDED` says which roles contain which."""

    VIEWER = "viewer"  # asks questions, reads everything of its tenants
    OPERATOR = "operator"  # hands documents in, starts cycles, promotes and rolls back
    APPROVER = "approver"  # decides on documents and versions that are held
    TENANT_ADMIN = "tenant-admin"  # all of these, and makes tokens for its own tenants
    ADMIN = "admin"  # everything but the engine
    ENGINE = "engine"  # the installation's own processes: EngineService and nothing else


_TENANTS_OWN = frozenset({Role.VIEWER, Role.OPERATOR, Role.APPROVER, Role.TENANT_ADMIN})


INCLUDED: Mapping[Role, frozenset[Role]] = {
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.OPERATOR: frozenset({Role.VIEWER, Role.OPERATOR}),
    Role.APPROVER: frozenset({Role.VIEWER, Role.APPROVER}),
    Role.TENANT_ADMIN: _TENANTS_OWN,
    Role.ADMIN: _TENANTS_OWN | {Role.ADMIN},
    Role.ENGINE: frozenset({Role.ENGINE}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who calls; `name` is what the audit trail says. `tenants` None: bound to none, sees all."""

    name: str
    role: Role
    tenants: tuple[str, ...] | None

    def has(self, role: Role) -> bool:
        """Whether its role contains `role`."""
        return role in INCLUDED[self.role]

    def sees(self, tenant: str) -> bool:
        """Whether it may know of `tenant`."""
        return self.tenants is None or tenant in self.tenants


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is known of a token besides its secret.

    `expires_at` None: it never expires; `revoked_at` None: it is not revoked.
    """

    token: str  # id: the first 12 hex digits of the secret's digest
    principal: Principal
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def require_unexpired(self, now: datetime) -> None:
        """Return if it has not expired. Raises: Unauthenticated (TOKEN_EXPIRED), for its holder to read."""
        if self.expires_at is not None and now >= self.expires_at:
            text = f"this token expired at {self.expires_at:%Y-%m-%d %H:%M} UTC; ask an administrator for another one"
            raise Unauthenticated(text, reason="TOKEN_EXPIRED")


def expiry(now: datetime, expires_days: int | None) -> datetime | None:
    """Return when a token made now ends; None where no days are given. Raises: InvalidArgument."""
    if expires_days is None:
        return None
    if not 1 <= expires_days <= MAX_TOKEN_DAYS:
        text = f"expires_days must be 1 to {MAX_TOKEN_DAYS}; leave it out for a token that does not expire"
        raise InvalidArgument(text, field="expires_days")
    return now + timedelta(days=expires_days)


def new_secret() -> str:
    """Return 256 random bits that no token had before, readable as one of ours."""
    return SECRET_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def digest_of(secret: str) -> str:
    """Return what is kept of `secret`. It needs no salt and no stretching: 256 random bits cannot be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()
