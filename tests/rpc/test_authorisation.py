"""Who may call what: by role, by tenant, and for strangers nothing at all."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.message_factory import GetMessageClass

from sealserve.client import AsyncClient, NewDocument
from sealserve.errors import NotFound, PermissionDenied, SealserveError, Unauthenticated
from sealserve.records.principals import INCLUDED, Principal, Role, Token
from sealserve.rpc.authorisation.known_tokens import REMEMBER_SECONDS, KnownTokens
from sealserve.rpc.authorisation.permissions import EVERY, METHODS, NONE
from sealserve.v1 import engine_pb2, engine_pb2_grpc, tenant_pb2, tenant_pb2_grpc
from sealserve.wire.channels import bearer
from sealserve.wire.statuses import DETAILS_KEY
from tests.registry.world import FakeClock
from tests.rpc.harness import ADMIN_SECRET, ENGINE_BEARER, Served, served, settings, token_for

PACKAGE = "/sealserve.v1."
DOOR = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


def secret_of(here: Served, role: Role, *tenants: str) -> str:
    """A new principal's secret; without tenants it sees all."""
    name = "-".join([role, *tenants, "x"])
    return here.registry.tokens.create(Principal(name=name, role=role, tenants=tenants or None), actor="test")[1]


def as_principal(here: Served, role: Role, *tenants: str) -> AsyncClient:
    return AsyncClient(here.address, token=secret_of(here, role, *tenants), timeout_seconds=20)


async def code_of_call(channel: grpc.aio.Channel, method: str, secret: str) -> grpc.StatusCode:
    """How a call with one empty message ends; sent with the call, as a later write may find the call over."""
    open_call: Any = channel.unary_stream(PACKAGE + method)
    call = open_call(b"", metadata=bearer(secret), timeout=20)
    try:
        async for _ in call:
            pass
    except grpc.RpcError:
        pass
    return await call.code()  # type: ignore[no-any-return]


@pytest.mark.parametrize("role", Role)
async def test_each_role_passes_the_doors_it_has_and_no_other(here: Served, role: Role) -> None:
    secret = secret_of(here, role)
    async with grpc.aio.insecure_channel(here.address) as channel:
        for method, need in METHODS.items():
            code = await code_of_call(channel, method, secret)
            assert (code in DOOR) == (need.role not in INCLUDED[role]), (method, code)


@pytest.mark.parametrize("secret", ["", "guess", "sealserve_guess", "x" * 129, "x" * 6000])
async def test_strangers_get_nowhere(here: Served, secret: str) -> None:
    async with grpc.aio.insecure_channel(here.address) as channel:
        codes = await asyncio.gather(*(code_of_call(channel, method, secret) for method in METHODS))
    assert set(codes) == {grpc.StatusCode.UNAUTHENTICATED}


async def test_metadata_too_large_for_http2_are_refused_and_the_server_lives_on(here: Served) -> None:
    async with grpc.aio.insecure_channel(here.address) as channel:
        code = await code_of_call(channel, "TenantService/ListTenants", "x" * 200_000)
    assert code in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAUTHENTICATED}
    assert (await here.client.tenant("acme")).tenant == "acme"


@pytest.mark.parametrize("value", ["Basic abc", "Bearer", "Bearer ", ADMIN_SECRET, f"Token {ADMIN_SECRET}"])
async def test_other_ways_to_show_a_token_are_none(here: Served, value: str) -> None:
    async with grpc.aio.insecure_channel(here.address) as channel:
        stub = tenant_pb2_grpc.TenantServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            await stub.ListTenants(tenant_pb2.ListTenantsRequest(), metadata=(("authorization", value),))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_revoked_token_is_refused_by_this_server_at_once(here: Served) -> None:
    async with as_principal(here, Role.VIEWER) as viewer:
        assert await viewer.tenant("acme")
        token = here.registry.tokens.all()[-1].token
        await here.client.revoke_token(token)
        with pytest.raises(Unauthenticated):
            await viewer.tenant("acme")


async def test_other_servers_learn_of_a_revocation_after_a_moment() -> None:
    clock, known, revoked = FakeClock(), Principal(name="ann", role=Role.VIEWER, tenants=None), [False]

    def find(_: str) -> Token:
        if revoked[0]:
            raise Unauthenticated("revoked")
        return token_for(known)

    tokens = KnownTokens(find, clock=lambda: clock().timestamp())
    assert await tokens.principal_of("s") == known
    revoked[0] = True
    assert await tokens.principal_of("s") == known
    clock.advance(REMEMBER_SECONDS)
    with pytest.raises(Unauthenticated):
        await tokens.principal_of("s")


async def test_expired_token_is_refused_at_once_even_if_it_was_good_just_now() -> None:
    clock, known = FakeClock(), Principal(name="ann", role=Role.VIEWER, tenants=None)
    found = token_for(known, expires_at=clock() + timedelta(seconds=REMEMBER_SECONDS / 2))
    tokens = KnownTokens(lambda _: found, clock=lambda: clock().timestamp(), utc_now=clock)
    assert await tokens.principal_of("s") == known
    clock.advance(REMEMBER_SECONDS / 4)
    assert await tokens.principal_of("s") == known
    clock.advance(REMEMBER_SECONDS / 4)
    with pytest.raises(Unauthenticated) as expired:
        await tokens.principal_of("s")
    assert expired.value.reason == "TOKEN_EXPIRED"


TENANTS_OWN: list[Callable[[AsyncClient, str], Any]] = [
    lambda client, tenant: client.tenant(tenant),
    lambda client, tenant: client.ask(tenant, "Where?"),
    lambda client, tenant: _all(client.stream(tenant, "Where?")),
    lambda client, tenant: client.count_tokens(tenant, "Where?"),
    lambda client, tenant: client.add_document(tenant, "An article."),
    lambda client, tenant: _all(client.add_documents(tenant, [NewDocument(body="An article.")])),
    lambda client, tenant: client.document(tenant, "0" * 16),
    lambda client, tenant: _all(client.documents(tenant)),
    lambda client, tenant: client.release_document(tenant, "0" * 16),
    lambda client, tenant: client.start_cycle(tenant),
    lambda client, tenant: client.cycle(tenant, "c" * 20),
    lambda client, tenant: _all(client.cycles(tenant)),
    lambda client, tenant: _all(client.watch_cycle(tenant, "c" * 20)),
    lambda client, tenant: _all(client.self_edits(tenant, "c" * 20)),
    lambda client, tenant: _all(client.adapters(tenant)),
    lambda client, tenant: client.adapter(tenant, 1),
    lambda client, tenant: client.promote(tenant, 1),
    lambda client, tenant: client.rollback(tenant),
    lambda client, tenant: _all(client.activations(tenant)),
    lambda client, tenant: _all(client.watch_adapters(tenant)),
    lambda client, tenant: _all(client.approvals(tenant)),
    lambda client, tenant: client.approval(tenant, 1),
    lambda client, tenant: client.approve(tenant, 1),
    lambda client, tenant: client.reject(tenant, 1, reason="no"),
    lambda client, tenant: _all(client.audit(tenant)),
]  # fmt: skip


async def _all(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


async def _refusal(asked: Any) -> tuple[type, str, str]:
    with pytest.raises(SealserveError) as refused:
        await asked
    return type(refused.value), refused.value.reason, refused.value.message


async def test_not_yours_and_not_there_are_one_answer(here: Served) -> None:
    here.world.version("globex")
    before = here.registry.audit.head()
    async with as_principal(here, Role.TENANT_ADMIN, "acme") as client:
        for number, ask in enumerate(TENANTS_OWN):
            others, nobodys = await _refusal(ask(client, "globex")), await _refusal(ask(client, "nobody"))
            assert others == (NotFound, "NOT_FOUND", nobodys[2].replace("nobody", "globex")), number
            assert nobodys == (NotFound, "NOT_FOUND", "tenant 'tenants/nobody' does not exist"), number
    assert here.registry.audit.head()[0] == before[0] + 1  # the token's row


NAMED = sorted(method for method, need in METHODS.items() if need.field not in (NONE, EVERY))


async def test_not_yours_and_not_there_are_the_same_bytes(here: Served) -> None:
    metadata = (*bearer(secret_of(here, Role.TENANT_ADMIN, "acme")), ("x-request-id", "r"))
    async with grpc.aio.insecure_channel(here.address) as channel:
        for method in NAMED:
            told = []
            for tenant in ("globex", "absent"):
                open_call: Any = channel.unary_stream(PACKAGE + method)
                call = open_call(named(method, f"tenants/{tenant}/any/thing"), metadata=metadata, timeout=20)
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await _all(call)
                trailing: dict[Any, Any] = dict(refused.value.trailing_metadata())
                told.append((refused.value.code(), sorted(trailing), trailing[DETAILS_KEY]))
            globex, absent = told
            assert globex[0] is grpc.StatusCode.NOT_FOUND, method
            assert globex == (*absent[:2], absent[2].replace(b"absent", b"globex")), method


def named(method: str, name: str) -> bytes:
    """A request of `method` that names `name` where it names a tenant."""
    service, _, own = method.partition("/")
    descriptor = descriptor_pool.Default().FindServiceByName(f"sealserve.v1.{service}").methods_by_name[own]
    request = inner = GetMessageClass(descriptor.input_type)()
    *path, field = METHODS[method].field.split(".")
    for part in path:
        inner = getattr(inner, part)
    setattr(inner, field, name)
    return bytes(request.SerializeToString())


async def test_bound_principal_is_shown_its_own_tenants_only(here: Served) -> None:
    async with as_principal(here, Role.VIEWER, "acme") as bound, as_principal(here, Role.VIEWER) as unbound:
        assert [one.tenant async for one in bound.tenants()] == ["acme"]
        assert [one.tenant async for one in unbound.tenants()] == ["acme", "globex"]
        assert {row.tenant async for row in bound.audit("acme")} == {"acme"}


async def test_what_is_about_all_tenants_is_not_for_those_bound_to_some(here: Served) -> None:
    async with as_principal(here, Role.TENANT_ADMIN, "acme") as bound:
        with pytest.raises(PermissionDenied):
            await bound.verify_audit()
        with pytest.raises(PermissionDenied):
            await anext(bound.audit())


async def test_name_that_is_none_is_refused_before_a_service_sees_it(here: Served) -> None:
    metadata = bearer(secret_of(here, Role.VIEWER, "acme"))
    async with grpc.aio.insecure_channel(here.address) as channel:
        stub = tenant_pb2_grpc.TenantServiceStub(channel)
        for name in ("", "globex", "tenants/", "/tenants/globex", "tokens/globex"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.GetTenant(tenant_pb2.GetTenantRequest(name=name), metadata=metadata)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_audit_trail_names_who_did_it(here: Served) -> None:
    async with as_principal(here, Role.OPERATOR, "acme") as ann, as_principal(here, Role.OPERATOR) as bob:
        await asyncio.gather(
            *(ann.add_document("acme", f"Ann's article {number}.") for number in range(3)),
            *(bob.add_document("acme", f"Bob's article {number}.") for number in range(3)),
        )
        await ann.start_cycle("acme")
    rows = here.registry.audit.rows(tenant="acme")
    kept = [row for row in rows if row.action == "document.add" or row.action.startswith("document.")]
    assert sorted(row.actor for row in kept) == ["operator-acme-x"] * 3 + ["operator-x"] * 3
    assert [row.actor for row in rows if row.action == "cycle.start"] == ["operator-acme-x"]


async def test_engine_is_for_the_installation_alone_even_where_everybody_may_call(tmp_path: Path) -> None:
    async with served(tmp_path, serve=settings(auth="off")) as here:
        async with AsyncClient(here.address) as anyone:
            await anyone.add_document("acme", "An article.")
        assert [row.actor for row in here.registry.audit.rows(tenant="acme")][-1] == "anyone"
        async with grpc.aio.insecure_channel(here.address) as channel:
            stub = engine_pb2_grpc.EngineServiceStub(channel)
            assert await code_of_call(channel, "EngineService/GetEngineInfo", "") is grpc.StatusCode.UNAUTHENTICATED
            code = await code_of_call(channel, "EngineService/GetEngineInfo", ADMIN_SECRET)
            assert code is grpc.StatusCode.PERMISSION_DENIED
            told = await stub.GetEngineInfo(engine_pb2.GetEngineInfoRequest(), metadata=ENGINE_BEARER)
            assert told.model == "fake"


async def test_storage_that_fails_at_the_door_is_a_reason_to_try_again(here: Served) -> None:
    here.registry._database.close()
    (here.world.directory / "registry.db").rename(here.world.directory / "gone.db")
    (here.world.directory / "registry.db").mkdir()
    async with grpc.aio.insecure_channel(here.address) as channel:
        code = await code_of_call(channel, "TenantService/ListTenants", "sealserve_new")
    assert code is grpc.StatusCode.UNAVAILABLE
