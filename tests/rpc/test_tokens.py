"""Tokens over the wire: made by those who may, good for as long as their maker says, revoked."""

from datetime import datetime, timedelta

import grpc
import grpc.aio
import pytest
from sqlalchemy import update

from sealserve.client import AsyncClient
from sealserve.errors import InvalidArgument, NotFound, PermissionDenied, SealserveError, Unauthenticated
from sealserve.records.principals import Principal, Role, Token
from sealserve.registry.sql import tables
from sealserve.v1 import engine_pb2, engine_pb2_grpc, token_pb2, token_pb2_grpc
from sealserve.wire.channels import bearer
from tests.rpc.harness import ADMIN_SECRET, Served
from tests.rpc.test_authorisation import as_principal


async def test_token_is_made_used_listed_and_revoked(here: Served) -> None:
    ann = Principal(name="ann", role=Role.OPERATOR, tenants=("acme", "globex"))
    token, secret = await here.client.create_token(ann)
    assert token.principal == ann
    assert token.created_by == "admin"
    async with AsyncClient(here.address, token=secret) as client:
        assert [one.tenant async for one in client.tenants()] == ["acme", "globex"]
    assert [one.principal.name async for one in here.client.tokens()] == ["admin", "engine", "ann"]
    revoked = await here.client.revoke_token(token.token)
    assert revoked.revoked_at is not None


async def test_token_ends_by_itself_where_its_maker_says_so(here: Served) -> None:
    ann = Principal(name="acme/ann", role=Role.TENANT_ADMIN, tenants=("acme",))
    token, secret = await here.client.create_token(ann, expires_days=3)
    assert token.expires_at == token.created_at + timedelta(days=3)
    assert [one.expires_at async for one in here.client.tokens()] == [None, None, token.expires_at]
    async with AsyncClient(here.address, token=secret) as client:
        with pytest.raises(PermissionDenied) as longer:
            await client.create_token(Principal(name="acme/bob", role=Role.VIEWER, tenants=("acme",)), expires_days=4)
        assert longer.value.reason == "OUTLIVES_ITS_MAKER"
        set_expiry(here, token, token.created_at)
        here.server._known.forget(token.token)
        with pytest.raises(Unauthenticated) as expired:
            await client.tenant("acme")
        assert expired.value.reason == "TOKEN_EXPIRED"
    assert len(here.registry.tokens.all()) == 3


@pytest.mark.parametrize("days", [0, -1, 3651, 2**31 - 1])
async def test_days_that_cannot_be_are_refused_by_the_server_too(here: Served, days: int) -> None:
    viewer = token_pb2.PRINCIPAL_ROLE_VIEWER
    request = token_pb2.CreateTokenRequest(principal="ann", role=viewer, every_tenant=True, expires_days=days)
    before = here.registry.tokens.all()
    async with grpc.aio.insecure_channel(here.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await token_pb2_grpc.TokenServiceStub(channel).CreateToken(request, metadata=bearer(ADMIN_SECRET))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(InvalidArgument):
        await here.client.create_token(Principal(name="ann", role=Role.VIEWER, tenants=None), expires_days=days)
    assert here.registry.tokens.all() == before


def set_expiry(here: Served, token: Token, expires_at: datetime) -> None:
    """Turn the token's end, as the server's clock cannot be turned."""
    with here.registry._database.write() as tx:
        tx.run(update(tables.tokens).where(tables.tokens.c.token == token.token).values(expires_at=expires_at))


async def test_tenants_administrator_governs_its_own_tenant_and_knows_of_no_other(here: Served) -> None:
    other = await here.client.create_token(Principal(name="globex/zoe", role=Role.VIEWER, tenants=("globex",)))
    both = await here.client.create_token(Principal(name="both", role=Role.VIEWER, tenants=("acme", "globex")))
    async with as_principal(here, Role.TENANT_ADMIN, "acme") as admin:
        bob, _ = await admin.create_token(Principal(name="acme/bob", role=Role.OPERATOR, tenants=("acme",)))
        seen = [one.principal.name async for one in admin.tokens()]
        assert seen == ["tenant-admin-acme-x", "acme/bob"]
        for hidden in (other[0].token, both[0].token, "0" * 12):
            with pytest.raises(NotFound):
                await admin.revoke_token(hidden)
        assert (await admin.revoke_token(bob.token)).revoked_at is not None


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        (Principal(name="acme/a", role=Role.ADMIN, tenants=None), PermissionDenied),
        (Principal(name="acme/a", role=Role.ENGINE, tenants=None), PermissionDenied),
        (Principal(name="acme/a", role=Role.VIEWER, tenants=None), PermissionDenied),
        (Principal(name="acme/a", role=Role.VIEWER, tenants=("globex",)), NotFound),
        (Principal(name="acme/a", role=Role.VIEWER, tenants=("acme", "globex")), NotFound),
        (Principal(name="acme/a", role=Role.VIEWER, tenants=("nobody",)), NotFound),
        (Principal(name="a", role=Role.VIEWER, tenants=("acme",)), InvalidArgument),
        (Principal(name="globex/a", role=Role.VIEWER, tenants=("acme",)), InvalidArgument),
    ],
)
async def test_nobody_gives_what_they_do_not_have(
    here: Served, asked: Principal, refused: type[SealserveError]
) -> None:
    async with as_principal(here, Role.TENANT_ADMIN, "acme") as admin:
        before = here.registry.tokens.all()
        with pytest.raises(refused):
            await admin.create_token(asked)
    assert here.registry.tokens.all() == before


async def test_administrator_makes_a_token_for_learning_elsewhere(here: Served) -> None:
    _, secret = await here.client.create_token(Principal(name="learn-2", role=Role.ENGINE, tenants=None))
    async with grpc.aio.insecure_channel(here.address) as channel:
        told = await engine_pb2_grpc.EngineServiceStub(channel).GetEngineInfo(
            engine_pb2.GetEngineInfoRequest(), metadata=bearer(secret)
        )
    assert told.model == "fake"
