"""A real daemon with the embedded model: good versions and bad ones are promoted while clients ask all the time.

Measures from the moment a watch has its evidence to the end of the last answer that the bad version gives. A good
adapter leaves the model as it is; a bad one talks nonsense. The tenant's evaluation set knows the right answers.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from sealserve.bench.harness.adapters import make_sound
from sealserve.bench.harness.serving_site import Site, open_site
from sealserve.canaries.probes import probes_for
from sealserve.client import AsyncClient
from sealserve.errors import SealserveError
from sealserve.gate.thresholds import StageRule, load_policy
from sealserve.records.cycles import CycleState, Step
from sealserve.records.documents import DocumentState, NewDocument
from sealserve.records.question_sets import EvaluationItem
from sealserve.records.rollouts import Count, Watch, WatchState
from sealserve.records.versions import Lineage
from sealserve.registry.step_effects import Finish, Publish

TENANT = "watched"
CLIENTS = 4
MAX_TOKENS = 16
SHADOW = 0.5
"""Of the daemon's requests; the shipped policy's tenth would take as many times longer to reach the same evidence."""

GOOD_PAIRS = 12
"""Pairs that a good version is compared in before it is replaced."""

ROUND_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonFigures:
    """Over `rounds` bad versions. `rollback_seconds` is the longest time to the end of the last bad answer,
    `new_request_seconds` to the last request that was still given to the bad version. `failed` has to be 0."""

    rounds: int
    rolled_back: int
    good_rolled_back: int
    rollback_seconds: float
    rollback_seconds_median: float
    new_request_seconds: float
    answers: int
    failed: int
    loads: int  # adapters loaded by rollbacks
    pairs_median: float  # compared when the bad version was taken back


@dataclass(slots=True)
class _Run:
    site: Site
    client: AsyncClient
    directory: Path
    good: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    begun: dict[int, float] = field(default_factory=dict)  # version -> when its last request began, epoch seconds
    ended: dict[int, float] = field(default_factory=dict)  # … and when its last answer ended
    answers: int = 0
    failed: int = 0
    made: int = 0


def measure_daemon(*, rounds: int, seed: int, say: Callable[[str], None]) -> DaemonFigures:
    """Return what `rounds` bad versions did. Raises: EngineFailed."""
    with tempfile.TemporaryDirectory(prefix="sealserve-watch-") as name:
        return asyncio.run(_measure(Path(name), rounds=rounds, seed=seed, say=say))


async def _measure(directory: Path, *, rounds: int, seed: int, say: Callable[[str], None]) -> DaemonFigures:
    say("starting the engine")
    rule = load_policy().watch.model_copy(update={"stages": (StageRule(traffic=1, shadow=SHADOW),)})
    async with (
        open_site(directory / "data", watch=rule) as site,
        AsyncClient(site.address, token=site.token) as client,
    ):
        one = _Run(site=site, client=client, directory=directory)
        questions = await _prepare(one, rounds=rounds, seed=seed)
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            parts = [group.create_task(site.activator.run())]
            parts += [group.create_task(site.watcher.run())] if site.watcher else []
            askers = [group.create_task(_ask(one, questions, done, seed=seed + number)) for number in range(CLIENTS)]
            watches = [await _round(one, number, say=say) for number in range(rounds)]
            done.set()
            await asyncio.wait(askers)
            for part in parts:
                part.cancel()
        return _figures(one, watches)


async def _prepare(one: _Run, *, rounds: int, seed: int) -> list[str]:
    """Make the adapters and hand in the evaluation set; return the questions."""
    await one.client.create_tenant(TENANT)
    canary = probes_for(one.site.settings.engine.model).canary
    items = [EvaluationItem(question=probe.question, answer=probe.answer) for probe in canary]
    await one.client.add_evaluation_set(TENANT, "known", items)
    for number in range(rounds + 1):
        path = one.directory / f"good{number}"
        files = await asyncio.to_thread(make_sound, path, one.site.base, seed=seed + number, scale=1e-4)
        one.good.append(await asyncio.to_thread(one.site.registry.artifacts.put_directory, files))
    for number in range(rounds):
        path = one.directory / f"bad{number}"
        files = await asyncio.to_thread(make_sound, path, one.site.base, seed=100 + seed + number)
        one.bad.append(await asyncio.to_thread(one.site.registry.artifacts.put_directory, files))
    return [item.question for item in items]


async def _ask(one: _Run, questions: list[str], done: asyncio.Event, *, seed: int) -> None:
    source = random.Random(seed)
    while not done.is_set():
        one.answers += 1
        began = time.time()
        try:
            answer = await one.client.ask(TENANT, source.choice(questions), max_tokens=MAX_TOKENS)
        except SealserveError:
            one.failed += 1
            continue
        one.ended[answer.version] = time.time()
        one.begun[answer.version] = max(began, one.begun.get(answer.version, 0.0))


async def _round(one: _Run, number: int, *, say: Callable[[str], None]) -> tuple[Watch, Watch, int]:
    """Promote a good version and, once it is compared enough, a bad one; return both watches and adapters loaded."""
    good = await _promoted(one, one.good[number])
    await _until(lambda: _compared(one, good))
    good_watch = await asyncio.to_thread(one.site.registry.rollouts.get, TENANT, good)
    bad = await _promoted(one, one.bad[number])
    before = set((await one.site.engine.info()).loaded)
    await _until(lambda: one.site.registry.rollouts.get(TENANT, bad).state is not WatchState.OPEN)
    watch = await asyncio.to_thread(one.site.registry.rollouts.get, TENANT, bad)
    await one.client.wait_until_observed(TENANT, bad + 1, timeout_seconds=ROUND_SECONDS)
    mark = one.answers
    await _until(lambda: one.answers > mark + 3 * CLIENTS)  # what was in flight has ended
    loads = len(set((await one.site.engine.info()).loaded) - before)
    say(f"round {number + 1}: {watch.reason or watch.state}; {_seconds(one.ended, watch):.2f} s to the last bad answer")
    return good_watch, watch, loads


def _compared(one: _Run, activation: int) -> bool:
    with suppress(SealserveError):
        return one.site.registry.rollouts.get(TENANT, activation).counts[Count.PAIRS] >= GOOD_PAIRS
    return False


async def _promoted(one: _Run, artifact: str) -> int:
    activation = await asyncio.to_thread(_publish, one, artifact)
    await one.client.wait_until_observed(TENANT, activation, timeout_seconds=ROUND_SECONDS)
    return activation


def _publish(one: _Run, artifact: str) -> int:
    """Publish and promote a version as the last step of a cycle does; return the activation."""
    registry = one.site.registry
    one.made += 1
    registry.documents.add(
        TENANT,
        NewDocument(title="Bench", text=f"Article {one.made}.", source="bench", media_type="text/plain"),
        actor="bench",
    )
    opened = registry.cycles.start(TENANT, trigger="bench", actor="bench")
    claim = registry.cycles.claim(worker="bench", lease_seconds=60)
    if claim is None or claim.cycle != opened.cycle:
        raise SealserveError("somebody else works on this figure's registry")
    held = tuple(document.document for document in registry.cycles.documents(opened.cycle))
    present = registry.tenants.get(TENANT)
    publish = Publish(
        artifact=artifact, parent=0, documents=held, lineage=Lineage(), promote=True, expected_etag=present.etag
    )
    finish = Finish(state=CycleState.PROMOTED, reason="", documents=DocumentState.LEARNED)
    registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=0, effects=(publish, finish))
    return present.activation + 1


async def _until(holds: Callable[[], bool]) -> None:
    """Return once it holds. Raises: SealserveError after ROUND_SECONDS."""
    deadline = time.monotonic() + ROUND_SECONDS
    while not await asyncio.to_thread(holds):
        if time.monotonic() > deadline:
            raise SealserveError(f"the watch did not end within {ROUND_SECONDS:.0f} s")
        await asyncio.sleep(0.05)


def _seconds(last: dict[int, float], watch: Watch) -> float:
    """From the decision to the version's last one; 0 when there was none after it."""
    if watch.decided_at is None:
        return 0.0
    return max(0.0, last.get(watch.version, 0.0) - watch.decided_at.timestamp())


def _figures(one: _Run, rounds: list[tuple[Watch, Watch, int]]) -> DaemonFigures:
    bad = [watch for _, watch, _ in rounds]
    seconds = [_seconds(one.ended, watch) for watch in bad]
    return DaemonFigures(
        rounds=len(rounds),
        rolled_back=sum(watch.state is WatchState.ROLLED_BACK for watch in bad),
        good_rolled_back=sum(watch.state is WatchState.ROLLED_BACK for watch, _, _ in rounds),
        rollback_seconds=round(max(seconds), 3),
        rollback_seconds_median=round(median(seconds), 3),
        new_request_seconds=round(max(_seconds(one.begun, watch) for watch in bad), 3),
        answers=one.answers,
        failed=one.failed,
        loads=sum(loads for _, _, loads in rounds),
        pairs_median=median(watch.counts[Count.PAIRS] for watch in bad),
    )
