"""The engine of another process: its priority, its token, and its restarts."""

import asyncio
from contextlib import nullcontext
from pathlib import Path

import pytest

from sealserve.engine.engine import BACKGROUND_PRIORITY, AdapterFiles, GenerateRequest, Likelihood, ScoreRequest
from sealserve.engine.remote import RemoteEngine, artifact_digest
from sealserve.errors import BadAdapter, NotFound, QuotaExceeded, Unauthenticated, Unavailable
from sealserve.records.inference import ChatTurn, EngineState, Sampling
from sealserve.rpc.server import RpcServer
from tests.fakes import FakeEngine
from tests.rpc.harness import ENGINE_SECRET, Served, find_token, settings, until
from tests.rpc.remote import remote_to

TURNS = (ChatTurn(role="user", content="Where?"),)


def ask(adapter: str | None = None, request_id: str = "r") -> GenerateRequest:
    return GenerateRequest(request_id=request_id, turns=TURNS, adapter=adapter, sampling=Sampling(max_tokens=4))


async def text_of(engine: RemoteEngine, request: GenerateRequest) -> str:
    return "".join([delta.text async for delta in engine.generate(request)])


async def test_everything_runs_behind_the_tenants_calls() -> None:
    engine = FakeEngine()
    async with remote_to(engine) as remote:
        await text_of(remote, ask())
        await remote.score(ScoreRequest(request_id="s", turns=TURNS, completion="Here."))
    assert [request.priority for request in engine.requests] == [BACKGROUND_PRIORITY] * 2


async def test_engine_without_room_says_when_to_come_back_and_is_not_waited_for_here() -> None:
    class Full(FakeEngine):
        async def score(self, request: ScoreRequest) -> Likelihood:
            raise QuotaExceeded("tenants keep the engine busy", retry_seconds=2)

    async with remote_to(Full(), patience_seconds=60) as remote:
        with pytest.raises(QuotaExceeded) as refused:
            await asyncio.wait_for(
                remote.score(ScoreRequest(request_id="s", turns=TURNS, completion="Here.")), timeout=30
            )
    assert refused.value.retry_seconds == 2


async def test_artifact_of_the_registry_is_loaded_by_its_digest(here: Served) -> None:
    digest = here.world.artifact()
    path = here.registry.artifacts.directory(digest)
    assert artifact_digest(path) == digest
    remote = RemoteEngine(here.address, secret=ENGINE_SECRET, patience_seconds=0)
    await remote.load(AdapterFiles(name="acme@c1-0", path=path))
    assert (await here.engine.info()).loaded == ("acme@c1-0",)
    assert await remote.unload("acme@c1-0")
    await remote.close()


async def test_artifact_nobody_stored_is_not_found(here: Served, tmp_path: Path) -> None:
    remote = RemoteEngine(here.address, secret=ENGINE_SECRET, patience_seconds=0)
    with pytest.raises(NotFound):
        await remote.load(AdapterFiles(name="x@1", path=tmp_path / ("0" * 64) / "files"))
    await remote.close()


async def test_wrong_token_is_told_at_once_and_never_waited_for(here: Served) -> None:
    remote = RemoteEngine(here.address, secret="wrong", patience_seconds=60)
    with pytest.raises(Unauthenticated):
        await asyncio.wait_for(remote.start(), timeout=30)
    await remote.close()


async def test_unreachable_engine_reads_as_stopped_and_is_unavailable() -> None:
    remote = RemoteEngine("127.0.0.1:1", secret=ENGINE_SECRET, patience_seconds=0)
    assert (await remote.info()).state is EngineState.STOPPED
    with pytest.raises(Unavailable):
        await text_of(remote, ask())
    await remote.close()


async def test_engine_that_is_still_starting_is_waited_for() -> None:
    engine = FakeEngine()
    async with remote_to(engine) as near:
        engine._state = EngineState.STARTING
        remote = RemoteEngine(near._address, secret=ENGINE_SECRET, patience_seconds=20)
        waiting = asyncio.ensure_future(remote.start())
        answering = asyncio.ensure_future(text_of(remote, ask()))
        await until(_has_failed_once(remote))
        assert not waiting.done()
        engine._state = EngineState.SERVING
        await waiting
        assert await answering
        await remote.close()


async def test_server_that_restarts_is_waited_for_and_gets_its_adapters_back(tmp_path: Path) -> None:
    adapter = tmp_path / ("d" * 64) / "files"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text("{}")
    first, address = await _serve(FakeEngine(), "127.0.0.1:0", adapter)
    remote = RemoteEngine(address, secret=ENGINE_SECRET, patience_seconds=20)
    await remote.load(AdapterFiles(name="acme@c1-0", path=adapter))
    before = await text_of(remote, ask("acme@c1-0"))
    await first.stop()
    answering = asyncio.ensure_future(text_of(remote, ask("acme@c1-0")))
    await until(_has_failed_once(remote))
    engine = FakeEngine()
    second, _ = await _serve(engine, address, adapter)
    assert await answering == before
    assert engine.load_calls == ["acme@c1-0"]
    await remote.close()
    await second.stop()


async def test_adapter_that_was_never_handed_over_stays_unknown(here: Served) -> None:
    remote = RemoteEngine(here.address, secret=ENGINE_SECRET, patience_seconds=20)
    with pytest.raises(NotFound):
        await asyncio.wait_for(text_of(remote, ask("nobody@v1")), timeout=30)
    assert here.engine.load_calls == []
    await remote.close()


async def test_refused_adapter_is_not_handed_over_again(here: Served, tmp_path: Path) -> None:
    here.adapters["e" * 64] = tmp_path / "empty"
    remote = RemoteEngine(here.address, secret=ENGINE_SECRET, patience_seconds=0)
    with pytest.raises(BadAdapter):
        await remote.load(AdapterFiles(name="bad@1", path=tmp_path / ("e" * 64) / "files"))
    with pytest.raises(NotFound):
        await text_of(remote, ask("bad@1"))
    assert here.engine.load_calls == ["bad@1"]
    await remote.close()


async def test_caller_who_gives_up_frees_the_sequence() -> None:
    engine = FakeEngine()
    async with remote_to(engine) as remote:
        engine.gate.clear()
        asking = asyncio.ensure_future(text_of(remote, ask(request_id="gone")))
        await until(lambda: bool(engine.requests))
        asking.cancel()
        await until(lambda: bool(engine.aborted))
        assert engine.aborted == ["gone"]


async def _serve(engine: FakeEngine, address: str, adapter: Path) -> tuple[RpcServer, str]:
    await engine.start()
    server = RpcServer(settings(address=address), find_token=find_token)
    server.add_engine_service(engine, materialise=lambda _digest: nullcontext(adapter))
    return server, f"127.0.0.1:{await server.start()}"


def _has_failed_once(remote: RemoteEngine) -> "Failures":
    return Failures(remote)


class Failures:
    """True once a call of `remote` found its server unavailable."""

    def __init__(self, remote: RemoteEngine) -> None:
        self._seen = 0
        once = remote._once

        async def counted(*args: object) -> object:
            try:
                return await once(*args)  # type: ignore[arg-type]
            except Unavailable:
                self._seen += 1
                raise

        remote._once = counted  # type: ignore[assignment]

    def __call__(self) -> bool:
        return self._seen > 0
