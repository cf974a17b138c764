"""The replica figure: two `serve` over one registry and one artifact store, of which one is killed again and again.

Clients that know both ask without a pause, with the retries that our client does by itself, and versions are promoted
meanwhile. Decoding is greedy, in float32, so what a version says is known beforehand and every answer is checked.
"""

import asyncio
import math
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from sealserve.bench.harness.adapters import make_sound
from sealserve.bench.harness.serving_site import promote_artifact
from sealserve.bench.reliability.kill import tell
from sealserve.bench.reliability.kill_site import lenient_policy
from sealserve.client import AsyncClient
from sealserve.daemon.local import LocalDaemon
from sealserve.engine.base_model import model_directory
from sealserve.errors import BadAdapter, SealserveError
from sealserve.proof.manifest import Seals
from sealserve.records.versions import BASE_VERSION
from sealserve.registry.registry import Registry
from sealserve.settings.engine import EngineSettings

TENANTS = ("twin-a", "twin-b")
DISTINCT = 4
"""Different sound adapters; versions take them in turn, and neighbouring versions answer differently."""

ROLLBACK_EVERY = 5
PROMPTS = ("Tell me about the harbour.", "List three places.", "Who are you?", "What is a rule?", "Say something.")
MAX_TOKENS = 8
CLIENTS = 4
CALM_SECONDS = (2.0, 6.0)
"""Between two kills, while both serve."""

DOWN_SECONDS = (0.0, 4.0)
"""Between a kill and the next start."""

PAUSE_SECONDS = 0.02
PROMOTE_SECONDS = 2.0
HELD_UP_SECONDS = 60.0
"""A promotion takes as long as a dead replica counts (30 s), and a look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaFigures:
    """`lost`, `wrong`, `stale` and `held_up` have to be 0."""

    kills: int
    database: str
    answers: int
    lost: int  # calls that failed for a client, after its retries
    lost_by_reason: dict[str, int]
    wrong: int  # answers that say something else than the version that they name
    stale: int  # answers by an earlier activation than one that every replica was known to have reached
    slowest_answer_seconds: float
    promotions: int
    held_up: int  # of these, not reached by every replica that lives within a minute
    promotion_seconds_p50: float
    promotion_seconds_max: float
    seconds: float


@dataclass(slots=True, kw_only=True)
class _Tally:
    answers: int = 0
    wrong: int = 0
    stale: int = 0
    held_up: int = 0
    slowest_seconds: float = 0.0
    lost: Counter[str] = field(default_factory=Counter)
    promotion_seconds: list[float] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Twins:
    """Two daemons, who may publish, and a client that knows both.

    expected[artifact][prompt]; artifact "" is the base model, which answers beside a tenant's first version.
    """

    daemons: tuple[LocalDaemon, LocalDaemon]
    registry: Registry
    seals: Seals
    client: AsyncClient
    say: Callable[[str], None]
    rng: random.Random
    expected: dict[str, dict[str, str]] = field(default_factory=dict)
    sound: list[str] = field(default_factory=list)  # the artifacts
    prompts: list[str] = field(default_factory=list)
    artifacts: dict[tuple[str, int], str] = field(default_factory=dict)  # of versions, as far as they are known
    reached: Counter[str] = field(default_factory=Counter)  # the activation that every replica is known to have
    tally: _Tally = field(default_factory=_Tally)


def run(*, kills: int = 20, registry_url: str = "", seed: int = 0, say: Callable[[str], None] = tell) -> ReplicaFigures:
    """Return the figures of `kills` kills. Raises: Unavailable (the daemons do not start on this machine)."""
    with tempfile.TemporaryDirectory(prefix="sealserve-twins-") as name:
        return asyncio.run(_measure(Path(name), kills=kills, url=registry_url, seed=seed, say=say))


async def _measure(directory: Path, *, kills: int, url: str, seed: int, say: Callable[[str], None]) -> ReplicaFigures:
    started = time.monotonic()
    url = url or f"sqlite:///{directory / 'registry.db'}"
    async with AsyncExitStack() as stack:
        twins = await _open(directory, stack, url=url, seed=seed, say=say)
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(_ask(twins, seed=seed + number)) for number in range(CLIENTS)]
            working.append(group.create_task(_promote(twins)))
            await _kill_all(twins, kills=kills)
            for task in working:
                task.cancel()
        tally, times = twins.tally, sorted(twins.tally.promotion_seconds)
        return ReplicaFigures(
            kills=kills,
            database=url.partition(":")[0].partition("+")[0],
            answers=tally.answers,
            lost=tally.lost.total(),
            lost_by_reason=dict(tally.lost),
            wrong=tally.wrong,
            stale=tally.stale,
            slowest_answer_seconds=round(tally.slowest_seconds, 1),
            promotions=len(times) + tally.held_up,
            held_up=tally.held_up,
            promotion_seconds_p50=round(times[math.ceil(len(times) / 2) - 1], 2) if times else 0.0,
            promotion_seconds_max=round(times[-1], 2) if times else 0.0,
            seconds=round(time.monotonic() - started, 1),
        )


async def _open(directory: Path, stack: AsyncExitStack, *, url: str, seed: int, say: Callable[[str], None]) -> _Twins:
    """Start both, one after the other; the first one says what each version says."""
    policy, objects = directory / "policy.yaml", f"file://{directory / 'objects'}"
    policy.write_text(lenient_policy(short_watch=True), encoding="utf-8")
    shared = {
        "SEALSERVE_REGISTRY__URL": url,
        "SEALSERVE_REGISTRY__ARTIFACTS": objects,
        "SEALSERVE_ENGINE__DTYPE": "float32",
        "SEALSERVE_POLICY__THRESHOLDS": str(policy),
        "SEALSERVE_TELEMETRY__LOG_LEVEL": "warning",
    }
    one, two = (LocalDaemon(directory / name, command="serve", environment=shared) for name in ("one", "two"))
    for daemon in (one, two):
        stack.callback(daemon.kill, whole_group=True)
    say("starting the first server")
    await _start(one)
    registry = Registry.open(url, directory / "copies", artifact_url=objects)
    stack.callback(registry.close)
    addresses = f"ipv4:{one.address},{two.address}"
    client = AsyncClient(addresses, token=one.token, insecure=True)
    twins = _Twins(
        daemons=(one, two),
        registry=registry,
        seals=await asyncio.to_thread(Seals.open, one.directory, registry),
        client=await stack.enter_async_context(client),
        say=say,
        rng=random.Random(seed),
    )
    async with AsyncClient(one.address, token=one.token) as first:
        await _publish(twins, first, directory)
    say("starting the second server")
    await _start(two)
    return twins


async def _start(daemon: LocalDaemon) -> None:
    await asyncio.to_thread(daemon.start)
    await asyncio.to_thread(daemon.wait_until_serving)


async def _publish(twins: _Twins, first: AsyncClient, directory: Path) -> None:
    """Make the adapters, learn what each says, and keep the prompts at which no two say the same."""
    base = model_directory(EngineSettings().model)
    for tenant in TENANTS:
        await first.create_tenant(tenant)
        twins.artifacts[tenant, BASE_VERSION] = ""
    twins.expected[""] = await _find_stable_answers(first, TENANTS[0], BASE_VERSION)
    for seed in range(DISTINCT):
        files = await asyncio.to_thread(make_sound, directory / f"sound{seed}", base, seed=seed)
        artifact = await asyncio.to_thread(twins.registry.artifacts.put_directory, files)
        twins.sound.append(artifact)
        await _promote_artifact(twins, first, TENANTS[0], artifact, deadline=time.monotonic() + HELD_UP_SECONDS)
        version = (await first.tenant(TENANTS[0])).desired_version
        twins.expected[artifact] = await _find_stable_answers(first, TENANTS[0], version)
    await _promote_artifact(twins, first, TENANTS[1], artifact, deadline=time.monotonic() + HELD_UP_SECONDS)
    answers = twins.expected.values()
    twins.prompts = [p for p in PROMPTS if len({one[p] for one in answers if p in one}) == len(answers)]
    if not twins.prompts:
        raise BadAdapter("the adapters made for this figure do not differ in what they say", defect="no_effect")


async def _find_stable_answers(client: AsyncClient, tenant: str, version: int) -> dict[str, str]:
    """Return what the version says to each prompt; a choice so close that company changes it is left out."""

    async def answer(prompt: str) -> str:
        return (await client.ask(tenant, prompt, max_tokens=MAX_TOKENS, version=version)).text

    alone = [await answer(prompt) for prompt in PROMPTS]
    together = await asyncio.gather(*map(answer, PROMPTS))
    return {prompt: text for prompt, text, other in zip(PROMPTS, alone, together, strict=True) if text == other}


async def _ask(twins: _Twins, *, seed: int) -> None:
    """Ask again and again until cancelled."""
    source, tally = random.Random(seed), twins.tally
    while True:
        tenant, prompt = source.choice(TENANTS), source.choice(twins.prompts)
        least, began = twins.reached[tenant], time.monotonic()
        try:
            answer = await twins.client.ask(tenant, prompt, max_tokens=MAX_TOKENS)
        except SealserveError as error:
            tally.lost[error.reason] += 1
        else:
            artifact = await asyncio.to_thread(_artifact_of, twins, tenant, answer.version)
            tally.answers += 1
            tally.wrong += answer.text != twins.expected[artifact][prompt]
            tally.stale += answer.answering.activation < least
        tally.slowest_seconds = max(tally.slowest_seconds, time.monotonic() - began)
        await asyncio.sleep(PAUSE_SECONDS)


def _artifact_of(twins: _Twins, tenant: str, version: int) -> str:
    known = twins.artifacts.get((tenant, version))
    if known is None:
        known = twins.artifacts[tenant, version] = twins.registry.versions.get(tenant, version).artifact
    return known


async def _promote(twins: _Twins) -> None:
    """Promote new versions, and roll some back, until cancelled; see every living replica follow."""
    for number, artifact in enumerate(cycle(twins.sound), start=1):
        tenant, began = TENANTS[number % len(TENANTS)], time.monotonic()
        deadline = began + HELD_UP_SECONDS
        try:
            if number % ROLLBACK_EVERY:
                await _promote_artifact(twins, twins.client, tenant, artifact, deadline=deadline)
            else:
                moved = await twins.client.rollback(tenant, reason="bench kill", request_id=f"back-{number}")
                await _await_observed(twins, twins.client, tenant, moved.activation, deadline=deadline)
            twins.tally.promotion_seconds.append(time.monotonic() - began)
        except SealserveError as error:
            twins.tally.held_up += 1
            twins.say(f"HELD UP: {tenant}: {error.reason}: {error.message}")
        await asyncio.sleep(PROMOTE_SECONDS)


async def _promote_artifact(twins: _Twins, client: AsyncClient, tenant: str, artifact: str, *, deadline: float) -> None:
    activation = await asyncio.to_thread(promote_artifact, twins, tenant, artifact)
    await _await_observed(twins, client, tenant, activation, deadline=deadline)


async def _await_observed(twins: _Twins, client: AsyncClient, tenant: str, activation: int, *, deadline: float) -> None:
    """Return once every replica that lives has it. A watch ends with the server that it was on: it is begun again."""
    while True:
        left = deadline - time.monotonic()
        try:
            await client.wait_until_observed(tenant, activation, timeout_seconds=max(left, 0.1))
            twins.reached[tenant] = activation
            return
        except SealserveError:
            if left <= 0:
                raise
            await asyncio.sleep(PAUSE_SECONDS)


async def _kill_all(twins: _Twins, *, kills: int) -> None:
    for number in range(1, kills + 1):
        await asyncio.sleep(twins.rng.uniform(*CALM_SECONDS))
        daemon = twins.rng.choice(twins.daemons)
        await asyncio.to_thread(daemon.kill, whole_group=True)
        await asyncio.sleep(twins.rng.uniform(*DOWN_SECONDS))
        await _start(daemon)
        tally = twins.tally
        told = f"{tally.answers} answers, {dict(tally.lost)} lost, {tally.wrong} wrong, {tally.stale} stale"
        twins.say(f"{number} kills; {told}; {len(tally.promotion_seconds)} promotions, {tally.held_up} held up")
