"""Tokens and principals."""

from datetime import UTC, datetime

from sealserve.errors import InvalidArgument
from sealserve.records.principals import Principal, Role, Token, expiry
from sealserve.v1 import token_pb2
from sealserve.wire import names
from sealserve.wire.enums import enum_from_wire, enum_to_wire
from sealserve.wire.values import time_from_wire, time_to_wire

_ROLE = token_pb2.DESCRIPTOR.enum_types_by_name["PrincipalRole"]


def token_to_wire(token: Token) -> token_pb2.Token:
    """Return the whole of `token`."""
    principal = token.principal
    return token_pb2.Token(
        name=names.token_name(token.token),
        principal=principal.name,
        role=enum_to_wire(principal.role, _ROLE),
        tenants=[names.tenant_name(tenant) for tenant in principal.tenants or ()],
        every_tenant=principal.tenants is None,
        created_by=token.created_by,
        create_time=time_to_wire(token.created_at),
        expire_time=None if token.expires_at is None else time_to_wire(token.expires_at),
        revoke_time=None if token.revoked_at is None else time_to_wire(token.revoked_at),
    )


def token_from_wire(wire: token_pb2.Token) -> Token:
    """Return the whole of `wire`. A role this client does not know reads as a viewer."""
    return Token(
        token=names.last_part(wire.name),
        principal=Principal(
            name=wire.principal,
            role=enum_from_wire(wire.role, Role, descriptor=_ROLE) or Role.VIEWER,
            tenants=None if wire.every_tenant else names.last_parts(wire.tenants),
        ),
        created_by=wire.created_by,
        created_at=time_from_wire(wire.create_time),
        expires_at=time_from_wire(wire.expire_time) if wire.HasField("expire_time") else None,
        revoked_at=time_from_wire(wire.revoke_time) if wire.HasField("revoke_time") else None,
    )


def principal_to_wire(principal: Principal, *, expires_days: int | None = None) -> token_pb2.CreateTokenRequest:
    """Return the request for a token of `principal`. Raises: InvalidArgument (days that the wire cannot carry)."""
    expiry(datetime.now(UTC), expires_days)
    return token_pb2.CreateTokenRequest(
        principal=principal.name,
        role=enum_to_wire(principal.role, _ROLE),
        tenants=[names.tenant_name(tenant) for tenant in principal.tenants or ()],
        every_tenant=principal.tenants is None,
        expires_days=expires_days,
    )


def principal_from_wire(wire: token_pb2.CreateTokenRequest) -> Principal:
    """Return whom a token is asked for. Raises: InvalidArgument (role, tenants)."""
    role = enum_from_wire(wire.role, Role, descriptor=_ROLE)
    if role is None:
        raise InvalidArgument(f"role must be set to one of {', '.join(Role)}", field="role")
    tenants = tuple(names.tenant_of(name, field="tenants") for name in wire.tenants)
    if bool(tenants) == wire.every_tenant:
        raise InvalidArgument("set either tenants or every_tenant", field="tenants")
    return Principal(name=wire.principal, role=role, tenants=None if wire.every_tenant else tenants)
