"""The composition root: makes every part of `serve`, `learn`, `web` and `up`, wires them, and takes them down in order.

Decides nothing else. A part that stops by itself ends the process: its error rises to the command line.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from time import monotonic
from typing import Any

import structlog

from sealserve.canaries.probes import probes_for
from sealserve.config import LearnSettings, Settings, load_settings
from sealserve.engine.base_model import model_directory
from sealserve.engine.remote import RemoteEngine
from sealserve.errors import SealserveError, StorageFailed, Unavailable
from sealserve.gate.thresholds import load_policy
from sealserve.learning.context import Workshop
from sealserve.learning.editor.rounds import run_round, run_rounds
from sealserve.learning.editor.store import Round
from sealserve.learning.scheduler import Learner
from sealserve.learning.training.executors.base import Executor
from sealserve.learning.training.executors.process import ProcessExecutor
from sealserve.learning.training.executors.ray import RayExecutor
from sealserve.learning.training.trainer import ChildTrainer
from sealserve.local_tokens import admin_secret, internal_secret
from sealserve.network import reachable
from sealserve.parts import ServeParts
from sealserve.policy.rulebook import open_rules
from sealserve.proof.manifest import Seals
from sealserve.records.inference import EngineState
from sealserve.registry.registry import Registry
from sealserve.rpc.server import RpcServer
from sealserve.telemetry import start_telemetry
from sealserve.web.server import serve_page

LEARN_STOP_SECONDS = 20.0
FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS = 1.0, 60.0
STEADY_SECONDS = 120.0
"""A child that ran this long is restarted without back-off."""

_PARENT_POLL_SECONDS = 1.0
_log = structlog.get_logger(__name__)


def run_serve(settings: Settings, *, engine_only: bool = False, parent: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT, or until the process `parent` is gone.

    Raises: BadConfig (model, port, files), StorageFailed, EngineFailed.
    """
    _run(_until_told(lambda: serve(settings, engine_only=engine_only), parent))


def run_learn(settings: Settings, *, parent: int | None = None) -> None:
    """Run learning cycles until told to end, as `run_serve`. Raises: as `run_serve`."""
    _run(_learn_until_told(settings, parent))


def run_up(settings: Settings, *, parent: int | None = None) -> None:
    """Serve here and keep a `learn` and a `web` child alive beside it, until told to end. Raises: as `run_serve`."""

    async def all_parts() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(settings), name="serve")
            group.create_task(_keep_running("learn", settings), name="learn")
            if not settings.web.is_off:
                group.create_task(_keep_running("web", settings), name="web")

    _run(_until_told(all_parts, parent))


def run_web(settings: Settings, *, parent: int | None = None) -> None:
    """Serve the page for approvals until told to end, as `run_serve`. Raises: BadConfig (address, port, files)."""
    _run(_until_told(lambda: web(settings), parent))


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run `work`; of a group of errors the first one rises, since the command line knows single errors."""
    try:
        asyncio.run(work)
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from group


async def serve(settings: Settings, *, engine_only: bool = False) -> None:
    """Own the engine and answer, until cancelled; then drain and take everything down."""
    async with AsyncExitStack() as stack:
        telemetry = start_telemetry(settings.telemetry, service="serve")
        stack.callback(telemetry.shutdown)
        registry = await asyncio.to_thread(open_registry, settings)
        stack.callback(registry.close)
        for make in (admin_secret, internal_secret):
            await asyncio.to_thread(make, settings.data_directory, registry.enrol_token)
        server = RpcServer(settings.serve, find_token=registry.token_of)
        parts = ServeParts(settings, registry, telemetry)
        stack.push_async_callback(parts.engine.close)
        server.add_engine_service(parts.gated, resolve=registry.artifacts.directory)
        if not engine_only:
            server.add_tenant_services(
                registry,
                answers=parts.answers,
                inbox=parts.inbox,
                engine=parts.gated,
                max_documents_per_cycle=settings.learn.max_documents_per_cycle,
                salt=parts.salts.salt,
                permits=parts.permits,
                watch=parts.watch_rule,
            )
        await server.start()
        stack.push_async_callback(server.stop)
        _log.info("listening", address=settings.serve.address, model=settings.engine.model)
        await parts.engine.start()
        _log.info("serving", address=settings.serve.address)
        await parts.run(engine_only=engine_only)


async def learn(settings: Settings, stop: asyncio.Event) -> None:
    """Run cycles until `stop` is set."""
    async with open_workshop(settings) as workshop:
        learner = Learner(workshop, worker=f"{socket.gethostname()}-{os.getpid()}")
        _log.info("learning", engine=settings.learn.engine_address or settings.serve.address)
        await learner.run(stop)


async def web(settings: Settings) -> None:
    """Show people what waits for them, as a client of `serve`, until cancelled."""
    telemetry = start_telemetry(settings.telemetry, service="web")
    try:
        await serve_page(settings)
    finally:
        telemetry.shutdown()


async def play_rounds(settings: Settings, tenant: str) -> list[tuple[str, Round]]:
    """Play a round of the outer loop now, for `tenant` or, when it is "", for every tenant that can have one.

    Raises: as `editor_rounds.run_round`; Unavailable while no engine is served.
    """
    async with open_workshop(settings) as workshop:
        if (await workshop.engine.info()).state is EngineState.STOPPED:
            raise Unavailable("no engine can be reached; start one with: sealserve up", retry_seconds=5)
        return [(tenant, await run_round(workshop, tenant))] if tenant else await run_rounds(workshop)


@asynccontextmanager
async def open_workshop(settings: Settings) -> AsyncIterator[Workshop]:
    """Give everything that learning works with, its engine reached over gRPC."""
    async with AsyncExitStack() as stack:
        telemetry = start_telemetry(settings.telemetry, service="learn")
        stack.callback(telemetry.shutdown)
        registry = await asyncio.to_thread(open_registry, settings)
        stack.callback(registry.close)
        address = settings.learn.engine_address or reachable(settings.serve.address)
        secret = await asyncio.to_thread(internal_secret, settings.data_directory, registry.enrol_token)
        engine = RemoteEngine(address, secret=secret, tls=settings.serve.tls(), insecure=settings.serve.insecure)
        stack.push_async_callback(engine.close)
        executor = executor_of(settings.learn)
        stack.push_async_callback(executor.close)
        yield Workshop(
            registry=registry,
            engine=engine,
            trainer=ChildTrainer(settings.learn, max_rank=settings.engine.max_rank, executor=executor),
            policy=load_policy(settings.learn.policy),
            rules=open_rules(settings.learn.rules),
            seals=Seals.open(settings.data_directory),
            probes=probes_for(settings.engine.model),
            settings=settings,
            base_directory=await asyncio.to_thread(model_directory, settings.engine.model),
            telemetry=telemetry,
        )


def executor_of(settings: LearnSettings) -> Executor:
    """Return what runs training children. Raises: BadConfig (Ray is not installed)."""
    return RayExecutor(settings) if settings.executor == "ray" else ProcessExecutor(settings)


def open_registry(settings: Settings) -> Registry:
    """Return the registry of `settings`, its directories made. Raises: StorageFailed, BadConfig (url)."""
    try:
        settings.data_directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(f"{settings.data_directory} cannot be made: {error.strerror}") from error
    return Registry.open(settings.registry_url, settings.artifact_directory)


async def _until_told(work: Callable[[], Coroutine[Any, Any, None]], parent: int | None) -> None:
    """Run `work` until it ends or it is time to stop; then cancel it and wait for its clean-up."""
    async with _stopping(parent) as stop:
        task, told = asyncio.create_task(work()), asyncio.create_task(stop.wait())
        await asyncio.wait((task, told), return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if task.done():
            await task
            return
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _learn_until_told(settings: Settings, parent: int | None) -> None:
    async with _stopping(parent) as stop:
        task, told = asyncio.create_task(learn(settings, stop)), asyncio.create_task(stop.wait())
        await asyncio.wait((task, told), return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        await asyncio.wait((task,), timeout=LEARN_STOP_SECONDS)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def _stopping(parent: int | None) -> AsyncIterator[asyncio.Event]:
    """Give an event that SIGTERM, SIGINT or the end of `parent` sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    guard = asyncio.create_task(_stop_with(parent, stop)) if parent is not None else None
    try:
        yield stop
    finally:
        if guard is not None:
            guard.cancel()


async def _stop_with(parent: int, stop: asyncio.Event) -> None:
    while os.getppid() == parent:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _PARENT_POLL_SECONDS)
    stop.set()


async def _keep_running(command: str, settings: Settings) -> None:
    """Start `command` as a child; start it again when it ends, sooner or later by how long it lived."""
    wait = FIRST_BACK_OFF_SECONDS
    while True:
        started = monotonic()
        code = await _run_child(command, settings)
        wait = FIRST_BACK_OFF_SECONDS if monotonic() - started > STEADY_SECONDS else wait
        event = f"{command}_ended"
        _log.warning(event, exit_code=code, restart_seconds=wait)
        await asyncio.sleep(wait)
        wait = min(2 * wait, LONGEST_BACK_OFF_SECONDS)


async def _run_child(command: str, settings: Settings) -> int:
    line = [sys.executable, "-m", "sealserve.daemon", command, str(os.getpid())]
    child = await asyncio.create_subprocess_exec(
        *line, env={**os.environ, **settings.as_environment()}, stdin=asyncio.subprocess.DEVNULL
    )
    try:
        return await child.wait()
    finally:
        if child.returncode is None:
            child.terminate()
            await _ended(child.wait, child.kill)


async def _ended(wait: Callable[[], Awaitable[int]], kill: Callable[[], None]) -> None:
    try:
        await asyncio.wait_for(wait(), LEARN_STOP_SECONDS + 5)
    except TimeoutError:
        kill()
        await wait()


def main() -> None:
    """`python -m sealserve.daemon up|serve|learn|web PARENT`: settings from the environment; ends with its parent."""
    command, parent = sys.argv[1], int(sys.argv[2])
    try:
        runs = {"up": run_up, "serve": run_serve, "learn": run_learn, "web": run_web}
        runs[command](load_settings(), parent=parent)
    except SealserveError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    main()
