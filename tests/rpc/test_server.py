"""The server as a process sees it: health, reflection, the port, shutdown."""

import asyncio
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from sealserve.client import AsyncClient
from sealserve.errors import BadConfig, Unavailable
from sealserve.records.inference import EngineState
from sealserve.rpc.health import Health
from sealserve.rpc.server import ENGINE_SERVICE, NEED_THE_ENGINE, NEED_VERSIONS, TENANT_SERVICES, RpcServer
from tests.rpc.harness import ADMIN_SECRET, Served, find_token, served, settings, until

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


async def check(here: Served, service: str) -> int:
    async with grpc.aio.insecure_channel(here.address) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    return int(answer.status)


async def test_health_names_every_service(here: Served) -> None:
    await until(lambda: _is(here, "", SERVING))
    for service in (*TENANT_SERVICES, ENGINE_SERVICE):
        assert await check(here, service) == SERVING
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await check(here, "sealserve.v1.DanceService")
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


async def test_watch_is_told_when_the_engine_goes_and_comes_back(here: Served) -> None:
    await until(lambda: _is(here, "", SERVING))
    async with grpc.aio.insecure_channel(here.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="sealserve.v1.InferenceService"))
        states = aiter(watch)
        assert (await anext(states)).status == SERVING
        here.engine._state = EngineState.REBUILDING
        assert (await anext(states)).status == NOT_SERVING
        assert await check(here, "sealserve.v1.DocumentService") == SERVING
        here.engine._state = EngineState.SERVING
        assert (await anext(states)).status == SERVING
        watch.cancel()


async def test_health_waits_for_versions_where_answers_need_them(here: Served) -> None:
    health = Health(["sealserve.v1.InferenceService", ENGINE_SERVICE])
    settled = asyncio.Event()
    following = asyncio.create_task(
        health.follow(
            here.engine,
            services=NEED_THE_ENGINE,
            seconds=0.001,
            is_settled=lambda info: settled.is_set(),
            need_versions=NEED_VERSIONS,
        )
    )

    async def says(service: str, status: int) -> bool:
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service), None)
        return bool(answer.status == status)

    await until(lambda: says(ENGINE_SERVICE, SERVING))  # learners need no tenant's version
    assert await says("", NOT_SERVING)
    assert await says("sealserve.v1.InferenceService", NOT_SERVING)
    settled.set()
    await until(lambda: says("", SERVING))
    assert await says("sealserve.v1.InferenceService", SERVING)
    settled.clear()
    await until(lambda: says("", NOT_SERVING))
    following.cancel()


async def test_watch_of_an_unknown_service_says_so_and_waits(here: Served) -> None:
    async with grpc.aio.insecure_channel(here.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="later"))
        assert (await anext(aiter(watch))).status == SERVICE_UNKNOWN
        watch.cancel()


async def test_health_that_has_ended_never_serves_again() -> None:
    health = Health(["a"])
    health.set(["a"], is_serving=True)
    health.end()
    health.set(["a", ""], is_serving=True)
    async with aclosing(health.Watch(health_pb2.HealthCheckRequest(service="a"), None)) as states:  # type: ignore[type-var]
        assert [state.status async for state in states] == [NOT_SERVING]


async def test_reflection_lists_what_tenants_may_call(here: Served) -> None:
    async with grpc.aio.insecure_channel(here.address) as channel:
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([ask]))
        answer = await anext(aiter(answers))
    names = {service.name for service in answer.list_services_response.service}
    assert names >= {*TENANT_SERVICES, "grpc.health.v1.Health"}
    assert ENGINE_SERVICE not in names


async def test_connections_are_bounded_and_those_that_are_open_go_on(tmp_path: Path) -> None:
    async with served(tmp_path, serve=settings(max_connections=3)) as here:
        assert (await here.client.tenant("acme")).tenant == "acme"
        host, _, port = here.address.rpartition(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
        further, end = await asyncio.open_connection(host, int(port))
        with suppress(ConnectionError):
            assert await asyncio.wait_for(further.read(), 20) == b""
        assert (await here.client.tenant("acme")).tenant == "acme"
        for writer in (end, *(one[1] for one in held)):
            writer.close()

        async def is_let_in() -> bool:
            async with AsyncClient(here.address, token=ADMIN_SECRET, timeout_seconds=20) as another:
                return (await another.tenant("acme")).tenant == "acme"

        await until(is_let_in)


async def test_port_in_use_is_a_clear_error(here: Served) -> None:
    second = RpcServer(settings(address=here.address), find_token=find_token)
    with pytest.raises(BadConfig, match="in use"):
        await second.start()
    await second.stop()


async def test_host_of_another_machine_is_a_clear_error() -> None:
    elsewhere = RpcServer(settings(address="192.0.2.1:7431", insecure=True), find_token=find_token)
    with pytest.raises(BadConfig, match=r"192\.0\.2\.1"):
        await elsewhere.start()
    await elsewhere.stop()


async def test_shutdown_ends_watches_and_lets_running_answers_finish(tmp_path: Path) -> None:
    async with served(tmp_path, serve=settings(drain_seconds=5)) as here:
        here.engine.gate.clear()
        running = asyncio.ensure_future(here.client.ask("acme", "Where?"))
        async with aclosing(here.client.watch_adapters("acme")) as reports:
            assert (await anext(reports)).desired == 0
            await until(lambda: bool(here.engine.requests))
            stopping = asyncio.ensure_future(here.server.stop())
            with pytest.raises(Unavailable) as over:
                await anext(reports)
        assert over.value.reason == "SHUTTING_DOWN"
        with pytest.raises(Unavailable):
            await here.client.ask("acme", "One more?")
        here.engine.gate.set()
        assert (await running).text
        await stopping
    assert len(here.engine.requests) == 1


async def test_shutdown_cuts_off_what_does_not_finish_in_time(tmp_path: Path) -> None:
    async with served(tmp_path, serve=settings(drain_seconds=0.1)) as here:
        here.engine.gate.clear()
        running = asyncio.ensure_future(here.client.ask("acme", "Where?", request_id="slow"))
        await until(lambda: bool(here.engine.requests))
        await here.server.stop()
        with pytest.raises(Unavailable):
            await running
    assert here.engine.aborted == ["slow"]


async def _is(here: Served, service: str, status: Any) -> bool:
    return bool(await check(here, service) == status)
