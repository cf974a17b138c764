"""An engine and a trainer for measuring a base model outside any server: for checks, tuning and benchmarks."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from sealserve.base_models.profile import ModelProfile, profile_of
from sealserve.canaries.probes import probes_for
from sealserve.daemon.healthcheck import is_serving
from sealserve.daemon.learn import executor_of, open_context
from sealserve.engine.base_model import base_shape, model_directory
from sealserve.engine.vllm_engine import VllmEngine
from sealserve.errors import BadConfig, FailedPrecondition
from sealserve.gate.thresholds import load_policy
from sealserve.learning.context import LearnContext
from sealserve.learning.training.trainer import ChildTrainer
from sealserve.network import reachable
from sealserve.policy.rulebook import open_rules
from sealserve.prompts import Dialect
from sealserve.proof.manifest import Seals
from sealserve.registry.registry import Registry
from sealserve.serving.gated_engine import GatedEngine
from sealserve.serving.slot_gate import SlotGate
from sealserve.settings.settings import Settings
from sealserve.telemetry import Telemetry

Say = Callable[[str], None]


@asynccontextmanager
async def open_workbench(settings: Settings, *, say: Say) -> AsyncIterator[LearnContext]:
    """Give a context on the base model of the settings: on the running server's engine, else on an engine of its own.

    A second engine beside a server's would often not fit into memory.
    Raises: BadConfig (no such model), EngineFailed, FailedPrecondition (the server has another model).
    """
    base = await asyncio.to_thread(model_directory, settings.engine.model)
    address = reachable(settings.serve.address)
    if not await asyncio.to_thread(is_serving, address, tls=settings.serve.tls()):
        with tempfile.TemporaryDirectory(prefix="sealserve-workbench-") as directory:
            alone = settings.model_copy(update={"data_directory": Path(directory)})
            async with open_own(alone, say=say) as context:
                yield context
        return
    say(f"using the engine of the server at {address}")
    async with open_context(settings) as context:
        digest = (await asyncio.to_thread(base_shape, base)).digest
        if (await context.engine.info()).base_digest != digest:
            raise FailedPrecondition(f"the server at {address} serves another base model: stop it, or name its model")
        yield context


@asynccontextmanager
async def open_own(settings: Settings, *, say: Say) -> AsyncIterator[LearnContext]:
    """Give a context with an engine of its own; its registry is in `settings.data_directory`.

    Raises: BadConfig (no such model), EngineFailed.
    """
    async with AsyncExitStack() as stack:
        registry = Registry.open(settings.registry_url, settings.artifact_directory)
        stack.callback(registry.close)
        base = await asyncio.to_thread(model_directory, settings.engine.model)
        profile = await asyncio.to_thread(lambda: profile_of(base, digest=base_shape(base).digest))
        settings = settings.model_copy(update={"learn": settings.learn.with_defaults(profile.learn)})
        vllm = VllmEngine(settings.engine, base=base)
        stack.push_async_callback(vllm.close)
        say("starting the engine")
        await vllm.start()
        executor = executor_of(settings.learn)
        stack.push_async_callback(executor.close)
        yield LearnContext(
            registry=registry,
            engine=GatedEngine(vllm, SlotGate(slots=settings.engine.slots)),
            trainer=ChildTrainer(settings.learn, max_rank=settings.engine.max_rank, executor=executor),
            policy=load_policy(None),
            rules=open_rules(),
            seals=Seals.open(settings.data_directory),
            probes=probes_for(settings.engine.model),
            settings=settings,
            base_directory=base,
            telemetry=Telemetry.off(),
            dialect=profile.dialect,
        )


def measurable_profile(settings: Settings) -> ModelProfile:
    """Return the profile of the settings' base model. Raises: BadConfig (no such model, or the embedded one)."""
    base = model_directory(settings.engine.model)
    profile = profile_of(base, digest=base_shape(base).digest)
    if profile.dialect is Dialect.EMBEDDED:
        raise BadConfig(
            "the embedded model reads its own world only and comes with its settings: see sealserve nano eval; "
            "name another base model with --model"
        )
    return profile
