"""One caller's share: whoever is over it is refused with a reason, and nobody else notices."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from sealserve.client import AsyncClient
from sealserve.errors import QuotaExceeded
from sealserve.records.principals import Principal, Role
from sealserve.rpc.budget import BURST_SECONDS, Budget, Share
from sealserve.rpc.interceptors import LARGE_BYTES, LargeMessages
from sealserve.rpc.polling import follow
from sealserve.settings.limits import LimitSettings
from sealserve.v1 import document_pb2, tenant_pb2, tenant_pb2_grpc
from sealserve.wire.channels import bearer
from sealserve.wire.statuses import DETAILS_KEY
from tests.registry.world import FakeClock
from tests.rpc.harness import BEARER, Served, served, until

READ, WRITE, ASK = "TenantService/GetTenant", "DocumentService/AddDocument", "InferenceService/Generate"
WATCH = "AdapterService/WatchAdapters"
SMALL = LimitSettings(
    calls_in_flight=4, watches=4, calls_per_minute=60, writes_per_minute=60, bytes_per_minute=2**20,
    tokens_per_minute=1000,
)  # fmt: skip


def who(name: str, *tenants: str, role: Role = Role.OPERATOR) -> Principal:
    return Principal(name=name, role=role, tenants=tenants or None)


def token_of(here: Served, tenant: str) -> str:
    return here.registry.tokens.create(who(f"{tenant}/a", tenant), actor="test")[1]


class Callers:
    """A budget under a clock that tests turn."""

    def __init__(self, limits: LimitSettings = SMALL) -> None:
        self.clock = FakeClock()
        self.budget = Budget(limits, clock=lambda: self.clock().timestamp())

    def call(self, principal: Principal, method: str = READ) -> Share:
        """A call that has ended."""
        share = self.budget.enter(principal, method)
        share.leave()
        return share

    def refused(self, principal: Principal, method: str = READ) -> QuotaExceeded:
        with pytest.raises(QuotaExceeded) as refused:
            self.budget.enter(principal, method)
        return refused.value


def test_calls_in_flight_are_bounded_for_a_principal_and_for_its_tenant() -> None:
    callers = Callers()
    ann, bob, cid, zoe = (who(f"acme/{name}", "acme") for name in ("ann", "bob", "cid", "zoe"))
    calls = [callers.budget.enter(principal, READ) for principal in (ann, ann, bob, cid)]
    assert callers.refused(ann).subject == "principals/acme/ann"
    assert callers.refused(zoe).subject == "tenants/acme"
    assert callers.call(who("globex/max", "globex"))
    calls[3].leave()
    assert callers.call(zoe)


def test_watches_are_bounded_by_themselves() -> None:
    callers, ann = Callers(), who("acme/ann", "acme")
    for _ in range(2):
        callers.budget.enter(ann, WATCH)
    assert "watches" in callers.refused(ann, WATCH).message
    assert callers.call(ann)


@pytest.mark.parametrize(("method", "what"), [(READ, "calls"), (WRITE, "writes")])
def test_calls_in_a_minute_are_bounded_and_come_back(method: str, what: str) -> None:
    callers, ann = Callers(SMALL.model_copy(update={"calls_per_minute": 60 if what == "calls" else 6000})), who("ann")
    for _ in range(int(BURST_SECONDS)):
        callers.call(ann, method)
    refused = callers.refused(ann, method)
    assert what in refused.message
    assert 0 < refused.retry_seconds < 10
    callers.clock.advance(refused.retry_seconds)
    assert callers.call(ann, method)


def test_what_was_received_and_said_counts_afterwards() -> None:
    callers, ann = Callers(), who("acme/ann", "acme")
    callers.call(ann, ASK).take_tokens(5000)
    refused = callers.refused(ann, ASK)
    assert "tokens" in refused.message
    assert callers.call(ann)
    callers.clock.advance(refused.retry_seconds)
    callers.call(ann, ASK).take_bytes(2**21)
    assert "bytes" in callers.refused(ann).message


@pytest.mark.parametrize("role", [Role.ADMIN, Role.ENGINE])
def test_administrators_and_own_processes_are_never_refused(role: Role) -> None:
    callers, ours = Callers(), who("ours", role=role)
    callers.call(ours, ASK).take_tokens(10**9)
    for _ in range(1000):
        callers.budget.enter(ours, WRITE)
    assert callers.call(ours, ASK).accounts == ()


def test_unbound_principal_has_a_whole_share_and_spends_nobody_elses_by_itself() -> None:
    callers, gateway = Callers(), who("gateway", role=Role.VIEWER)
    for _ in range(4):
        callers.budget.enter(gateway, READ)
    assert callers.refused(gateway).subject == "principals/gateway"
    assert callers.call(who("acme/ann", "acme"))


def named(callers: Callers, principal: Principal, tenant: str, method: str = READ) -> Share:
    """A call that has begun and named a tenant."""
    share = callers.budget.enter(principal, method)
    share.name_tenant(tenant)
    share.name_tenant(tenant)
    return share


def test_unbound_principal_spends_the_share_of_the_tenant_that_it_names() -> None:
    callers, bound = Callers(), who("acme/ann", "acme")
    calls = [named(callers, who(name), "acme") for name in ("one", "two", "one", "two")]
    assert callers.refused(bound).subject == "tenants/acme"
    with pytest.raises(QuotaExceeded) as refused:
        named(callers, who("three"), "acme")
    assert refused.value.subject == "tenants/acme"
    assert named(callers, who("three"), "globex")
    for call in calls:
        call.leave()
    assert callers.call(bound)


def test_tenant_is_charged_for_what_is_for_it_and_for_nothing_else() -> None:
    callers, stream = Callers(), "DocumentService/StreamDocuments"
    share = callers.budget.enter(who("importer"), stream)
    for tenant, size in (("acme", 2**21), ("globex", 1)):
        share.take_bytes(size)
        share.name_tenant(tenant)
    assert "bytes" in callers.refused(who("acme/ann", "acme")).message
    assert callers.call(who("globex/ann", "globex"))
    asking = named(callers, who("gateway"), "globex", ASK)
    asking.take_tokens(2000)
    assert "tokens" in callers.refused(who("globex/ann", "globex"), ASK).message


@pytest.mark.parametrize("role", [Role.ADMIN, Role.ENGINE])
def test_what_administrators_and_own_processes_do_for_a_tenant_is_not_charged(role: Role) -> None:
    callers = Callers()
    for _ in range(100):
        named(callers, who("ours", role=role), "acme", ASK).take_tokens(10**6)
    assert callers.call(who("acme/ann", "acme"), ASK)


async def test_tenant_of_whom_an_unbound_principal_asks_too_much_is_refused_to_it_and_others_are_not(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, limits=SMALL) as here:
        secret = here.registry.tokens.create(who("gateway", role=Role.VIEWER), actor="test")[1]
        mine = here.registry.tokens.create(who("acme/ann", "acme"), actor="test")[1]
        async with (
            AsyncClient(here.address, token=secret) as gateway,
            AsyncClient(here.address, token=mine) as ann,
        ):
            here.engine.gate.clear()
            hanging = [asyncio.create_task(gateway.ask("acme", "Where?")) for _ in range(SMALL.calls_in_flight)]
            await until(lambda: len(here.engine.requests) == len(hanging))
            with pytest.raises(QuotaExceeded, match="tenants/acme"):
                await ann.tenant("acme")
            here.engine.gate.set()
            await asyncio.gather(*hanging)
            assert (await ann.tenant("acme")).tenant == "acme"


async def test_refusal_says_whose_share_it_is_and_when_to_come_back(tmp_path: Path) -> None:
    async with served(tmp_path, limits=SMALL) as here, grpc.aio.insecure_channel(here.address) as channel:
        _, secret = here.registry.tokens.create(who("acme/ann", "acme"), actor="test")
        stub = tenant_pb2_grpc.TenantServiceStub(channel)

        async def many() -> None:
            for _ in range(20):
                await stub.GetTenant(tenant_pb2.GetTenantRequest(name="tenants/acme"), metadata=bearer(secret))

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await many()
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        status = Status.FromString(dict(refused.value.trailing_metadata())[DETAILS_KEY])
        quota, retry = QuotaFailure(), RetryInfo()
        assert any(detail.Unpack(quota) for detail in status.details)
        assert any(detail.Unpack(retry) for detail in status.details)
        assert quota.violations[0].subject == "principals/acme/ann"
        assert retry.retry_delay.ToMilliseconds() > 0
        assert (await here.client.tenant("globex")).tenant == "globex"


async def test_calls_of_one_tenant_that_hang_leave_the_others_theirs(tmp_path: Path) -> None:
    limits = SMALL.model_copy(update={"calls_per_minute": 10**6})
    async with served(tmp_path, limits=limits) as here, AsyncExitStack() as stack:
        ann, max_ = [
            await stack.enter_async_context(AsyncClient(here.address, token=token_of(here, tenant)))
            for tenant in ("acme", "globex")
        ]
        here.engine.gate.clear()
        hanging = [asyncio.ensure_future(ann.ask("acme", "Where?")) for _ in range(2)]
        await until(lambda: len(here.engine.requests) == 2)
        with pytest.raises(QuotaExceeded):
            await ann.ask("acme", "Where?")
        assert (await max_.tenant("globex")).tenant == "globex"
        here.engine.gate.set()
        await asyncio.gather(*hanging)

        async def is_let_in_again() -> bool:
            try:
                return bool((await ann.ask("acme", "Where?")).text)
            except QuotaExceeded:
                return False

        await until(is_let_in_again)


async def test_call_that_is_cancelled_gives_its_place_back(tmp_path: Path) -> None:
    async with served(tmp_path, limits=SMALL.model_copy(update={"calls_per_minute": 10**6})) as here:
        _, secret = here.registry.tokens.create(who("acme/ann", "acme"), actor="test")
        async with AsyncClient(here.address, token=secret) as ann:
            async with aclosing(ann.watch_adapters("acme")) as first, aclosing(ann.watch_adapters("acme")) as second:
                assert await anext(first)
                assert await anext(second)
                with pytest.raises(QuotaExceeded):
                    await anext(ann.watch_adapters("acme"))

            async def is_let_in() -> bool:
                try:
                    async with aclosing(ann.watch_adapters("acme")) as third:
                        return bool(await anext(third))
                except QuotaExceeded:
                    return False

            for _ in range(3):
                await until(is_let_in)


async def test_calls_whose_message_never_comes_count_too(tmp_path: Path) -> None:
    async with served(tmp_path, limits=SMALL) as here, grpc.aio.insecure_channel(here.address) as channel:
        _, secret = here.registry.tokens.create(who("acme/ann", "acme"), actor="test")
        begin: Any = channel.stream_unary("/sealserve.v1.TenantService/GetTenant")
        silent = [begin(metadata=bearer(secret)) for _ in range(6)]
        codes = await asyncio.gather(*(asyncio.wait_for(call.code(), 1) for call in silent), return_exceptions=True)
        for call in silent:
            call.cancel()
    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 4


async def test_stream_that_brings_no_document_is_ended(tmp_path: Path) -> None:
    async with served(tmp_path, idle_read_seconds=0.2) as here, grpc.aio.insecure_channel(here.address) as channel:
        method = channel.stream_stream(
            "/sealserve.v1.DocumentService/StreamDocuments",
            request_serializer=document_pb2.StreamDocumentsRequest.SerializeToString,
            response_deserializer=document_pb2.StreamDocumentsResponse.FromString,
        )
        call = method(metadata=BEARER)
        assert await asyncio.wait_for(call.code(), 20) is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "no document came" in await call.details()


async def test_watch_of_ours_goes_on_over_another_connection(here: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    lives: list[float] = []
    monkeypatch.setattr("sealserve.rpc.services.adapters.follow", _short_lived(lives))
    async with aclosing(here.client.watch_adapters("acme")) as reports:
        assert (await anext(reports)).desired == 0
        following = asyncio.ensure_future(anext(reports))
        await until(lambda: len(lives) > 3)
        assert not following.done()
        here.world.version()
        assert (await asyncio.wait_for(following, 20)).desired == 1


def _short_lived(lives: list[float]) -> Any:
    def short(read: Callable[[], Any], **options: Any) -> AsyncIterator[Any]:
        seconds = 0.02
        lives.append(seconds)
        return follow(read, **{**options, "life_seconds": seconds})

    return short


async def test_other_work_goes_on_between_large_messages() -> None:
    turns, happened = LargeMessages(), list[str]()

    async def parse() -> None:
        await turns.turn(LARGE_BYTES)
        happened.append("parsed")

    async def tick() -> None:
        for _ in range(20):
            happened.append("tick")
            await asyncio.sleep(0)

    await asyncio.gather(*(parse() for _ in range(5)), tick())
    assert happened.count("parsed") == 5
    assert all("parsed" not in pair or "tick" in pair for pair in pairwise(happened))
