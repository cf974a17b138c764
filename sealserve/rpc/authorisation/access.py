"""Lets calls in by their token, and hides the tenants that a caller is not bound to. The same for every transport."""

import asyncio

from sealserve.errors import NotFound, PermissionDenied, Unauthenticated
from sealserve.records.principals import MAX_SECRET_CHARACTERS, Principal, Role
from sealserve.rpc.authorisation.known_tokens import KnownTokens
from sealserve.rpc.authorisation.permissions import EVERY, METHODS, OVER_HTTP
from sealserve.rpc.budget import CURRENT_SHARE, Budget
from sealserve.rpc.call_context import CURRENT_PRINCIPAL

ANYONE = Principal(name="anyone", role=Role.ADMIN, tenants=None)
"""Who calls when serve.auth is off."""


class Access:
    """Lets a call in whose token has the role that the method needs, and counts it."""

    def __init__(self, tokens: KnownTokens, *, budget: Budget, is_open: bool) -> None:
        """With `is_open` (serve.auth = "off") everybody is ANYONE; EngineService asks for a token even then."""
        self._tokens = tokens
        self._budget = budget
        self.is_open = is_open

    async def enter(self, method: str, secret: str) -> None:
        """Say who calls `method`, "Service/Method" (CURRENT_PRINCIPAL), and what share is left (CURRENT_SHARE).

        The call counts as running until the present task ends. Raises: Unauthenticated, PermissionDenied,
        QuotaExceeded, StorageFailed, Unavailable.
        """
        principal = await self._admitted(method, secret)
        share = self._budget.enter(principal, method)
        CURRENT_PRINCIPAL.set(principal)
        CURRENT_SHARE.set(share)
        if (task := asyncio.current_task()) is not None:  # which serves the call, to its end however it ends
            task.add_done_callback(lambda _: share.leave())

    async def _admitted(self, method: str, secret: str) -> Principal:
        need = METHODS.get(method) or OVER_HTTP.get(method)
        if self.is_open and need is not None and need.role is not Role.ENGINE:
            return ANYONE
        principal = await self._tokens.principal_of(_checked_secret(secret))
        if need is None or not principal.has(need.role):
            asked = need.role if need is not None else "no"
            text = f"{principal.name} is {principal.role}; this call needs the role {asked}"
            raise PermissionDenied(text, reason="ROLE_NEEDED")
        if need.field == EVERY:
            require_unbound(principal)
        return principal


def require_unbound(principal: Principal) -> None:
    """Return if `principal` sees every tenant. Raises: PermissionDenied."""
    if principal.tenants is not None:
        text = f"{principal.name} is bound to tenants; this call is about all of them"
        raise PermissionDenied(text, reason="BOUND_TO_TENANTS")


def require_seen(tenant: str) -> None:
    """Return if the caller may know of `tenant`, for which its call counts. Raises: NotFound, QuotaExceeded."""
    if not CURRENT_PRINCIPAL.get().sees(tenant):
        raise NotFound(f"tenants/{tenant}", kind="tenant")
    CURRENT_SHARE.get().name_tenant(tenant)


def _checked_secret(secret: str) -> str:
    if not secret:
        text = "a token is needed: `authorization: Bearer SECRET`; on the command line --token or SEALSERVE_TOKEN"
        raise Unauthenticated(text, reason="TOKEN_MISSING")
    if len(secret) > MAX_SECRET_CHARACTERS:
        raise Unauthenticated("this is no token: it is too long")
    return secret
