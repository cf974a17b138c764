"""An engine and a trainer for measuring a base model outside any server: for checks, tuning and benchmarks."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from sealserve.base_models.fitness import Fitness, read_fitness, save_fitness
from sealserve.base_models.profile import ModelProfile, profile_directory, profile_of, save_tuned
from sealserve.canaries.probes import probes_for
from sealserve.daemon.healthcheck import is_serving
from sealserve.daemon.learn import executor_of, open_context
from sealserve.engine.base_model import base_shape, model_directory
from sealserve.engine.memory_plan import plan_here, with_room
from sealserve.engine.vllm_engine import VllmEngine
from sealserve.errors import BadConfig, FailedPrecondition
from sealserve.gate.thresholds import load_policy
from sealserve.learning.context import LearnContext
from sealserve.learning.model_check import check_model, with_training_speed
from sealserve.learning.retention_set import RetentionSets
from sealserve.learning.screening.passage_judge import PassageJudges
from sealserve.learning.training.trainer import ChildTrainer
from sealserve.learning.tune import Tuned, tune, tuned_profile
from sealserve.network import reachable
from sealserve.policy.rulebook import open_rules
from sealserve.prompts import Dialect
from sealserve.proof.manifest import Seals
from sealserve.registry.registry import Registry
from sealserve.serving.gated_engine import GatedEngine
from sealserve.serving.slot_gate import SlotGate
from sealserve.settings.settings import Settings
from sealserve.telemetry import Telemetry

TRIAL_SECONDS = 7200.0
"""Longest time for all trials of a tuning together: on a few cores they take tens of minutes."""

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
        registry = Registry.of(settings)
        stack.callback(registry.close)
        base = await asyncio.to_thread(model_directory, settings.engine.model)
        profile = await asyncio.to_thread(lambda: profile_of(base, digest=base_shape(base).digest))
        plan = await asyncio.to_thread(plan_here, settings, base)
        settings = with_room(settings, plan)
        settings = settings.model_copy(update={"learn": settings.learn.with_defaults(profile.learn)})
        vllm = VllmEngine(settings.engine, base=base)
        stack.push_async_callback(vllm.close)
        say("starting the engine")
        await vllm.start()
        executor = executor_of(settings.learn)
        stack.push_async_callback(executor.close)
        yield LearnContext(
            registry=registry,
            engine=GatedEngine(vllm, SlotGate(slots=settings.engine.adapter_slots)),
            trainer=ChildTrainer(settings.learn, max_rank=settings.engine.max_rank, executor=executor),
            policy=load_policy(None),
            rules=open_rules(),
            seals=Seals.open(settings.data_directory, registry),
            probes=probes_for(settings.engine.model),
            settings=settings,
            base_directory=base,
            telemetry=Telemetry.off(),
            dialect=profile.dialect,
            retention_sets=RetentionSets(profile_directory()),
            passage_judges=PassageJudges(profile_directory()),
        )


async def check_base(settings: Settings, *, say: Say) -> Fitness:
    """Return what the base model of the settings did on the shipped passages, and keep it by the model's digest.

    Its calibration as a judge of passages is kept as well.

    Raises: as `open_workbench` and `check_model`; BadConfig (the embedded model).
    """
    await asyncio.to_thread(_measurable_profile, settings)
    async with open_workbench(settings, say=say) as context:
        fitness = await check_model(
            context.client("check", "check"),
            model=settings.engine.model,
            machine=machine(),
            settings=context.settings.learn,
            probes=context.probes,
            say=say,
        )
        await context.passage_judges.of(context.client("check", "check"))
    await asyncio.to_thread(save_fitness, fitness)
    return fitness


async def tune_base(settings: Settings, *, steps: int, say: Say) -> tuple[Tuned, ModelProfile]:
    """Return the trials on the base model and its new profile, which is kept by the model's digest.

    The result of an earlier check gets the training speed. Raises: as `open_workbench` and `tune`; BadConfig (the
    embedded model).
    """
    profile = await asyncio.to_thread(_measurable_profile, settings)
    learn = settings.learn.model_copy(
        update={"trainer_timeout_seconds": max(settings.learn.trainer_timeout_seconds, TRIAL_SECONDS)}
    )
    async with open_workbench(settings.model_copy(update={"learn": learn}), say=say) as context:
        tuned = await tune(context, steps=steps, say=say)
        digest = await context.client("tune", "tune").base_digest()
    new = tuned_profile(profile, tuned, steps=steps, machine=machine())
    await asyncio.to_thread(save_tuned, new, digest=digest)
    fitness = await asyncio.to_thread(read_fitness, digest)
    if fitness is not None:
        await asyncio.to_thread(save_fitness, with_training_speed(fitness, tuned.training_tokens_per_second))
    return tuned, new


def machine() -> str:
    """Return the kind of machine, as results name it."""
    cores = f"{len(os.sched_getaffinity(0))} CPU cores"
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return cores
    asked = subprocess.run(
        [tool, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, check=False
    )
    names = Counter(line.strip() for line in asked.stdout.splitlines() if line.strip())
    return ", ".join([*(f"{n} x {name}" for name, n in names.items()), cores])


def _measurable_profile(settings: Settings) -> ModelProfile:
    """Return the profile of the settings' base model. Raises: BadConfig (no such model, or the embedded one)."""
    base = model_directory(settings.engine.model)
    profile = profile_of(base, digest=base_shape(base).digest)
    if profile.dialect is Dialect.EMBEDDED:
        raise BadConfig(
            "the embedded model reads its own world only and comes with its settings: see sealserve nano eval; "
            "name another base model with --model"
        )
    return profile
