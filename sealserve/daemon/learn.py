"""The `learn` process: runs learning cycles and editor rounds."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import structlog

from sealserve.base_models.fitness import HOW_TO_CHECK, Fitness, read_fitness, refusal
from sealserve.base_models.profile import profile_directory, profile_of
from sealserve.canaries.probes import probes_for
from sealserve.daemon.lifetime import run_to_end, stop_event
from sealserve.daemon.storage import keep_private, open_registry
from sealserve.engine.base_model import base_shape, model_directory
from sealserve.engine.remote import RemoteEngine
from sealserve.errors import Unavailable
from sealserve.gate.thresholds import load_policy
from sealserve.learning.context import LearnContext
from sealserve.learning.editor.rounds import run_round, run_rounds
from sealserve.learning.editor.store import Round
from sealserve.learning.retention_set import RetentionSets
from sealserve.learning.scheduler import Learner
from sealserve.learning.screening.passage_judge import PassageJudges
from sealserve.learning.training.executors.base import Executor
from sealserve.learning.training.executors.process import ProcessExecutor
from sealserve.learning.training.executors.ray import RayExecutor
from sealserve.learning.training.trainer import ChildTrainer
from sealserve.local_tokens import internal_secret
from sealserve.network import reachable
from sealserve.policy.rulebook import open_rules
from sealserve.processes.niceness import SessionNiceness, lower_session_priority
from sealserve.prompts import Dialect
from sealserve.proof.manifest import Seals
from sealserve.records.inference import EngineState
from sealserve.settings.learn import LearnSettings
from sealserve.settings.settings import Settings
from sealserve.telemetry import start_telemetry
from sealserve.telemetry.names import LogEvent

_log = structlog.get_logger(__name__)

LEARN_STOP_SECONDS = 20.0


def run_learn(settings: Settings, *, parent: int | None = None) -> None:
    """Run learning cycles until stopped, as `run_serve` does. Raises: as `run_serve`."""
    run_to_end(_learn_until_told(settings, parent))


async def learn(settings: Settings, stop: asyncio.Event, *, parent: int | None = None) -> None:
    """Run cycles until `stop` is set."""
    async with open_context(settings) as context:
        await asyncio.to_thread(_yield_to_serving, settings.learn.niceness, parent=parent)
        learner = Learner(context, worker=f"{socket.gethostname()}-{os.getpid()}")
        fitness = await asyncio.to_thread(lambda: read_fitness(base_shape(context.base_directory).digest))
        _log.info(
            LogEvent.LEARNER_STARTED,
            engine=settings.learn.engine_address or settings.serve.address,
            base_model=_shown(fitness, context.dialect),
        )
        await learner.run(stop)


async def play_rounds(settings: Settings, tenant: str) -> list[tuple[str, Round]]:
    """Run a round of the outer loop now, for `tenant` or, if it is "", for every eligible tenant.

    Raises: as `editor_rounds.run_round`; Unavailable if no engine is running.
    """
    async with open_context(settings) as context:
        if (await context.engine.info()).state is EngineState.STOPPED:
            raise Unavailable("no engine is running; start one with: sealserve up", retry_seconds=5)
        return [(tenant, await run_round(context, tenant))] if tenant else await run_rounds(context)


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[LearnContext]:
    """Open everything that learning needs; the engine is reached over gRPC."""
    base = await asyncio.to_thread(model_directory, settings.engine.model)
    profile = await asyncio.to_thread(lambda: profile_of(base, digest=base_shape(base).digest))
    settings = settings.model_copy(update={"learn": settings.learn.with_defaults(profile.learn)})
    async with AsyncExitStack() as stack:
        telemetry = start_telemetry(settings.telemetry, service="learn")
        stack.callback(telemetry.shutdown)
        await asyncio.to_thread(keep_private, settings)
        registry = await asyncio.to_thread(open_registry, settings)
        stack.callback(registry.close)
        address = settings.learn.engine_address or reachable(settings.serve.address)
        secret = await asyncio.to_thread(internal_secret, settings.data_directory, registry.tokens.enrol)
        serve = settings.serve
        engine = RemoteEngine(address, secret=secret, tls=serve.tls(), insecure=serve.insecure, read_tls=serve.tls)
        stack.push_async_callback(engine.close)
        executor = executor_of(settings.learn)
        stack.push_async_callback(executor.close)
        yield LearnContext(
            registry=registry,
            engine=engine,
            trainer=ChildTrainer(settings.learn, max_rank=settings.engine.max_rank, executor=executor),
            policy=load_policy(settings.policy.thresholds),
            rules=open_rules(settings.policy.rules),
            seals=Seals.open(settings.data_directory, registry),
            probes=probes_for(settings.engine.model).at_most(settings.learn.suite_items),
            settings=settings,
            base_directory=base,
            telemetry=telemetry,
            dialect=profile.dialect,
            retention_sets=RetentionSets(profile_directory()),
            passage_judges=PassageJudges(profile_directory()),
            refusal=lambda: refusal(
                base_shape(base).digest,
                has_teacher=settings.learn.study.editor == "endpoint",
                is_allowed=settings.learn.allow_unfit_base,
            ),
        )


def _yield_to_serving(niceness: int, *, parent: int | None) -> None:
    """Make sure that the trainers' niceness counts beside `serve`, or say that it does not.

    A child of `sealserve up` is of the session that serves: there it counts anyway.
    """
    became = lower_session_priority(niceness)
    if became is SessionNiceness.SET:
        _log.info(LogEvent.SESSION_PRIORITY_LOWERED, niceness=niceness)
    elif became is SessionNiceness.REFUSED or (became is SessionNiceness.FOREIGN and parent is None):
        _log.warning(LogEvent.SESSION_PRIORITY_NOT_LOWERED, niceness=niceness, reason=became)


def _shown(fitness: Fitness | None, dialect: Dialect) -> str:
    if dialect is Dialect.EMBEDDED:
        return "embedded"
    return fitness.shown() if fitness else f"not checked; {HOW_TO_CHECK}"


def executor_of(settings: LearnSettings) -> Executor:
    """Return the executor of the settings. Raises: BadConfig (Ray is not installed)."""
    return RayExecutor(settings) if settings.executor == "ray" else ProcessExecutor(settings)


async def _learn_until_told(settings: Settings, parent: int | None) -> None:
    async with stop_event(parent) as stop:
        task, told = asyncio.create_task(learn(settings, stop, parent=parent)), asyncio.create_task(stop.wait())
        await asyncio.wait((task, told), return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        await asyncio.wait((task,), timeout=LEARN_STOP_SECONDS)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
