"""Who shows no token can open health and reflection, but stops nobody's call and no check."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from sealserve.rpc import open_calls
from sealserve.rpc.server import REFLECTION_V1
from tests.rpc.harness import Served, until

STREAMS, CONNECTIONS = 576, 6


@pytest.fixture(params=["watch", "reflection"])
async def held(request: pytest.FixtureRequest, here: Served) -> AsyncIterator[list[Any]]:
    """Many streams without a token, over some connections."""
    async with AsyncExitStack() as stack:
        calls = []
        for _ in range(CONNECTIONS):
            options = [("grpc.use_local_subchannel_pool", 1)]
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(here.address, options=options))
            for _ in range(STREAMS // CONNECTIONS):
                if request.param == "watch":
                    calls.append(health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()))
                else:
                    calls.append(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo())
        yield calls
        for call in calls:
            call.cancel()


async def test_streams_without_a_token_stop_nobody(here: Served, held: list[Any]) -> None:
    reads = [asyncio.ensure_future(call.read()) for call in held]
    await asyncio.wait(reads, timeout=2)
    async with grpc.aio.insecure_channel(here.address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=""), timeout=20)
        assert (await check).status in (health_pb2.HealthCheckResponse.SERVING, 2)
    assert (await here.client.tenant("acme")).tenant == "acme"
    assert (await here.client.ask("acme", "Where?")).text
    await until(lambda: sum(not call.done() for call in held) <= open_calls.MOST_STREAMS)
    ended = [call for call in held if call.done()]
    assert {await call.code() for call in ended} <= {
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
    for read in reads:
        read.cancel()
    await asyncio.gather(*reads, return_exceptions=True)


async def test_one_peer_holds_only_so_many_and_gets_them_back(here: Served) -> None:
    async with grpc.aio.insecure_channel(here.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(open_calls.MOST_STREAMS_OF_PEER)]
        for watch in watches:
            assert await watch.read()
        refused = stub.Watch(health_pb2.HealthCheckRequest())
        assert await refused.code() is grpc.StatusCode.UNIMPLEMENTED, "for gRPC's clients: healthy, without a watch"
        watches[0].cancel()

        async def is_let_in() -> bool:
            again = stub.Watch(health_pb2.HealthCheckRequest())
            try:
                return await again.read() is not grpc.aio.EOF
            except grpc.aio.AioRpcError:
                return False

        await until(is_let_in)


@pytest.mark.parametrize("method", ["Health/Check", "Health/Watch"])
async def test_caller_that_never_says_what_it_wants_is_sent_away(
    here: Served, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(open_calls, "REQUEST_SECONDS", 0.1)
    async with grpc.aio.insecure_channel(here.address) as channel:
        call: Any = channel.stream_stream(f"/grpc.health.v1.{method}")()
        assert await asyncio.wait_for(call.code(), 20) is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("service", ["grpc.reflection.v1alpha.ServerReflection", REFLECTION_V1])
async def test_reflection_answers_in_both_versions(here: Served, service: str) -> None:
    async with grpc.aio.insecure_channel(here.address) as channel:
        method = channel.stream_stream(
            f"/{service}/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        answer = await anext(aiter(method(iter([ask]))))
        named = {one.name for one in answer.list_services_response.service}
        symbol = reflection_pb2.ServerReflectionRequest(file_containing_symbol="sealserve.v1.InferenceService")
        described = await anext(aiter(method(iter([symbol]))))
    assert {"sealserve.v1.InferenceService", service} <= named
    assert described.file_descriptor_response.file_descriptor_proto
