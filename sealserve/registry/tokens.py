"""Tokens: making, finding and revoking them. Only digests of their secrets are kept.

Knows who a secret belongs to; nothing of calls and of what a role may do.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, or_, select, update

from sealserve.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
    Unauthenticated,
)
from sealserve.records.principals import Principal, Role, Token, digest_of, expiry, new_secret
from sealserve.registry import audit
from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.sql.tables import tokens
from sealserve.registry.tenants import get as get_tenant
from sealserve.settings.limits import LimitSettings

NAME = re.compile(r"[a-z0-9][a-z0-9._@/-]{0,126}", re.ASCII)
EVER_FACTOR = 20
"""How many times more tokens a tenant may make than it may have at the same time."""

_ID_DIGITS = 12
_FULL_RETRY_SECONDS = 3600.0


class Tokens:
    """Tokens and who issued them."""

    def __init__(self, database: Database, limits: LimitSettings) -> None:
        self._database = database
        self._limits = limits

    def create(self, principal: Principal, *, actor: str, expires_days: int | None = None) -> tuple[Token, str]:
        """Make a token for a new principal; return it with its secret, which nobody can ask for again.

        Raises: InvalidArgument (name, tenants, expires_days), NotFound (tenant), AlreadyExists (the name was ever
        used: the audit trail must say who it was), PermissionDenied (it would outlive the one that makes it),
        QuotaExceeded (the tenant before the slash of its name has limits.tokens).
        """
        secret = new_secret()
        with self._database.write() as tx:
            _require_sound(tx, principal)
            if tx.row(select(tokens.c.token).where(tokens.c.principal == principal.name)):
                raise AlreadyExists(principal.name, kind="principal")
            _require_room(tx, principal, most=self._limits.tokens)
            expires_at = expiry(tx.now, expires_days)
            _require_not_outliving(tx, expires_at, actor=actor)
            return _insert(tx, principal, secret, actor=actor, expires_at=expires_at), secret

    def enrol(self, principal: Principal, secret: str, *, actor: str) -> Token:
        """Register `secret` as a token of `principal`; no change if it is registered already, even if revoked."""
        with self._database.write() as tx:
            known = tx.row(select(tokens).where(tokens.c.digest == digest_of(secret)))
            return _record(known) if known else _insert(tx, principal, secret, actor=actor)

    def find(self, secret: str) -> Token:
        """Return the token that has this secret. Raises: Unauthenticated (none, or revoked; TOKEN_EXPIRED)."""
        query = select(tokens).where(tokens.c.digest == digest_of(secret), tokens.c.revoked_at.is_(None))
        with self._database.read() as tx:
            row = tx.row(query)
            if row is None:
                raise Unauthenticated("this token is unknown or revoked; ask an administrator for another one")
            found = _record(row)
            if found.expires_at is not None:
                found.require_unexpired(tx.now)
        return found

    def get(self, token: str) -> Token:
        """Return the token of that id, revoked or not. Raises: NotFound."""
        with self._database.read() as tx:
            return _get(tx, token)

    def all(self) -> tuple[Token, ...]:
        """Return every token, revoked ones included, oldest first."""
        with self._database.read() as tx:
            return tuple(map(_record, tx.rows(select(tokens).order_by(tokens.c.sequence))))

    def made_by(self, makers: Iterable[str], *, among: Iterable[str]) -> frozenset[str]:
        """Return those `among` the principals whose token was issued, directly or indirectly, by one of `makers`.

        Revoked tokens count: their opinions stay.
        """
        people = frozenset(among)
        made: set[str] = set()
        with self._database.read() as tx:
            known = _issuers(tx, people)
        new = set(makers)
        while new:
            new = {name for name, issuers in known.items() if issuers & new and name not in made}
            made |= new
        return people & made

    def revoke(self, token: str, *, actor: str) -> Token:
        """Refuse the token from now on; no change if it is revoked already.

        Raises: NotFound, FailedPrecondition (nobody could make tokens any more).
        """
        with self._database.write() as tx:
            found = _get(tx, token)
            if found.revoked_at is not None:
                return found
            _require_another_admin(tx, found)
            tx.run(update(tokens).where(tokens.c.token == token).values(revoked_at=tx.now))
            _tell(tx, "token.revoke", found, actor=actor)
            return _get(tx, token)


def _issuers(tx: Transaction, people: Iterable[str]) -> dict[str, set[str]]:
    """Return who issued the tokens of `people`, of those issuers, and so on up, by principal."""
    known: dict[str, set[str]] = {}
    new = set(people)
    while new:
        known |= {name: set() for name in new}
        for row in tx.rows(select(tokens.c.principal, tokens.c.created_by).where(tokens.c.principal.in_(new))):
            known[row.principal].add(row.created_by)
        new = set().union(*(known[name] for name in new)) - known.keys()
    return known


def _require_sound(tx: Transaction, principal: Principal) -> None:
    if not NAME.fullmatch(principal.name):
        text = "name must be 1 to 127 lower-case letters, digits and . _ @ / -, a letter or digit first"
        raise InvalidArgument(text, field="name")
    if principal.tenants == ():
        raise InvalidArgument("tenants must name at least one, or all", field="tenants")
    is_everywhere = principal.role in (Role.ADMIN, Role.ENGINE)
    if is_everywhere and principal.tenants is not None:
        text = f"role {principal.role} is not bound to tenants; for one tenant's administrator use tenant-admin"
        raise InvalidArgument(text, field="tenants")
    for tenant in principal.tenants or ():
        get_tenant(tx, tenant)


def _require_room(tx: Transaction, principal: Principal, *, most: int) -> None:
    """A tenant's own tokens begin with its name. Revoked ones count, too, if there are very many: names stay taken."""
    tenant = principal.name.partition("/")[0]
    if tenant not in (principal.tenants or ()):
        return
    is_valid = tokens.c.revoked_at.is_(None), or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > tx.now)
    own = select(func.count().label("n")).where(tokens.c.principal.like(f"{tenant}/%"))
    valid, ever = tx.row(own.where(*is_valid)), tx.row(own)
    assert valid is not None
    assert ever is not None
    text = ""
    if valid.n >= most:
        text = f"{tenant} has {valid.n} tokens and may have no more: revoke what nobody uses"
    elif ever.n >= EVER_FACTOR * most:
        text = f"{tenant} has made {ever.n} tokens, revoked ones included: ask the operator to raise limits.tokens"
    if text:
        raise QuotaExceeded(text, retry_seconds=_FULL_RETRY_SECONDS, subject=f"tenants/{tenant}")


def _require_not_outliving(tx: Transaction, expires_at: datetime | None, *, actor: str) -> None:
    """A token cannot issue one that outlives it."""
    query = select(func.max(tokens.c.expires_at).label("last")).where(tokens.c.principal == actor)
    row = tx.row(query)
    if row is None or row.last is None:
        return
    if expires_at is None or expires_at > row.last:
        text = f"{actor}'s own token ends at {row.last:%Y-%m-%d %H:%M} UTC: what it makes has to end by then, too"
        raise PermissionDenied(text, reason="OUTLIVES_ITS_MAKER")


def _insert(
    tx: Transaction, principal: Principal, secret: str, *, actor: str, expires_at: datetime | None = None
) -> Token:
    digest = digest_of(secret)
    row = {
        "token": digest[:_ID_DIGITS],
        "digest": digest,
        "principal": principal.name,
        "role": principal.role,
        "tenants": None if principal.tenants is None else sorted(set(principal.tenants)),
        "created_by": actor,
        "created_at": tx.now,
        "expires_at": expires_at,
        "revoked_at": None,
    }
    tx.insert(tokens, [row])
    made = _get(tx, digest[:_ID_DIGITS])
    _tell(tx, "token.create", made, actor=actor)
    return made


def _tell(tx: Transaction, action: str, token: Token, *, actor: str) -> None:
    """A tenant sees in its own audit trail who may act for it alone."""
    bound = token.principal.tenants
    audit.append(
        tx,
        action,
        actor=actor,
        tenant=bound[0] if bound is not None and len(bound) == 1 else "",
        subject=f"tokens/{token.token}",
        details={
            "principal": token.principal.name,
            "role": token.principal.role,
            "tenants": None if bound is None else list(bound),
            "expires_at": None if token.expires_at is None else token.expires_at.isoformat(),
        },
    )


def _require_another_admin(tx: Transaction, token: Token) -> None:
    """A token that expires does not count: if it were the only one, everybody would be locked out some day."""
    if token.principal.role is not Role.ADMIN:
        return
    lasting = tokens.c.revoked_at.is_(None), tokens.c.expires_at.is_(None)
    others = select(tokens.c.token).where(tokens.c.role == Role.ADMIN, tokens.c.token != token.token, *lasting)
    if tx.row(others.limit(1)) is None:
        raise FailedPrecondition("this is the last administrator's token; make another one first", reason="LAST_ADMIN")


def _get(tx: Transaction, token: str) -> Token:
    row = tx.row(select(tokens).where(tokens.c.token == token))
    if row is None:
        raise NotFound(f"tokens/{token}", kind="token")
    return _record(row)


def _record(row: Row[Any]) -> Token:
    tenants = None if row.tenants is None else tuple(row.tenants)
    return Token(
        token=row.token,
        principal=Principal(name=row.principal, role=Role(row.role), tenants=tenants),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
