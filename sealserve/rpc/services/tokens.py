"""TokenService."""

import asyncio
from typing import Any

from sealserve.errors import InvalidArgument, NotFound, PermissionDenied
from sealserve.records.principals import Principal, Role, Token
from sealserve.registry.registry import Registry
from sealserve.rpc.authorisation.known_tokens import KnownTokens
from sealserve.rpc.call_context import CURRENT_PRINCIPAL
from sealserve.rpc.page_tokens import page_size_of, position_of, position_token
from sealserve.v1 import token_pb2, token_pb2_grpc
from sealserve.wire import names
from sealserve.wire.tokens import principal_from_wire, token_to_wire

_SCOPE = "tokens"


class TokenService(token_pb2_grpc.TokenServiceServicer):
    """Makes, lists and revokes tokens: an administrator all of them, a tenant administrator its own tenants'."""

    def __init__(self, registry: Registry, *, known: KnownTokens) -> None:
        self._registry = registry
        self._known = known

    async def CreateToken(self, request: token_pb2.CreateTokenRequest, context: Any) -> token_pb2.CreateTokenResponse:
        """Raises: InvalidArgument, NotFound, AlreadyExists, PermissionDenied, QuotaExceeded."""
        caller, asked = CURRENT_PRINCIPAL.get(), principal_from_wire(request)
        _require_grantable(caller, asked)
        days = request.expires_days if request.HasField("expires_days") else None
        token, secret = await asyncio.to_thread(
            self._registry.tokens.create, asked, actor=caller.name, expires_days=days
        )
        return token_pb2.CreateTokenResponse(token=token_to_wire(token), secret=secret)

    async def ListTokens(self, request: token_pb2.ListTokensRequest, context: Any) -> token_pb2.ListTokensResponse:
        """Raises: InvalidArgument."""
        caller = CURRENT_PRINCIPAL.get()
        size, start = page_size_of(request.page_size), position_of(request.page_token, _SCOPE)
        every = await asyncio.to_thread(self._registry.tokens.all)
        seen = [token for token in every if _governs(caller, token.principal)]
        end = start + size
        return token_pb2.ListTokensResponse(
            tokens=map(token_to_wire, seen[start:end]),
            next_page_token=position_token(_SCOPE, end) if end < len(seen) else "",
        )

    async def RevokeToken(self, request: token_pb2.RevokeTokenRequest, context: Any) -> token_pb2.Token:
        """Raises: InvalidArgument, NotFound, FailedPrecondition."""
        caller, token = CURRENT_PRINCIPAL.get(), names.token_of(request.name)
        revoked = await asyncio.to_thread(self._revoke, caller, token)
        self._known.forget(token)
        return token_to_wire(revoked)

    def _revoke(self, caller: Principal, token: str) -> Token:
        """Somebody else's token is not there: the registry would say the same of one that never was."""
        if not _governs(caller, self._registry.tokens.get(token).principal):
            raise NotFound(names.token_name(token), kind="token")
        return self._registry.tokens.revoke(token, actor=caller.name)


def _governs(caller: Principal, other: Principal) -> bool:
    """Whether the tokens of `other` are the caller's to see and to revoke."""
    if caller.tenants is None:
        return caller.has(Role.ADMIN) or caller.has(other.role)
    return other.tenants is not None and set(other.tenants) <= set(caller.tenants)


def _require_grantable(caller: Principal, asked: Principal) -> None:
    """Return if the caller may make a token for `asked`: nobody gives what they do not have.

    Names made by a tenant's administrator begin with the tenant, so that a name taken tells nothing of others.
    """
    is_engine_of_admin = asked.role is Role.ENGINE and caller.has(Role.ADMIN)
    if not caller.has(asked.role) and not is_engine_of_admin:
        raise PermissionDenied(f"{caller.name} is {caller.role} and cannot make a token for {asked.role}")
    if caller.tenants is None:
        return
    if asked.tenants is None:
        raise PermissionDenied(f"{caller.name} is bound to tenants and cannot make a token that is not")
    for tenant in asked.tenants:
        if not caller.sees(tenant):
            raise NotFound(names.tenant_name(tenant), kind="tenant")
    if not any(asked.name.startswith(f"{tenant}/") for tenant in asked.tenants):
        text = f"name must begin with the tenant: {asked.tenants[0]}/{asked.name}"
        raise InvalidArgument(text, field="principal")
