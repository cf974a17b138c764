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

import yaml

from sealserve.bench.harness.adapters import make_sound
from sealserve.bench.harness.serving_site import Site, fill_places, open_site, promote_artifact
from sealserve.canaries.probes import probes_for
from sealserve.client import AsyncClient
from sealserve.errors import SealserveError
from sealserve.gate.thresholds import default_policy_path
from sealserve.records.question_sets import EvaluationItem
from sealserve.records.rollouts import Count, Watch, WatchState

TENANT = "watched"
CLIENTS = 4
MAX_TOKENS = 16
SHADOW = 0.5
"""Of the daemon's requests; the shipped policy's tenth would take as many times longer to reach the same evidence."""

GOOD_PAIRS = 12
"""Pairs that a good version is compared in before it is replaced."""

REVOKED_SECONDS = 1.0
"""By then every replica has looked at the registry: no request that begins later may reach the bad version."""

FULL_PLACES, OTHERS = 6, 8
"""Of a full server: places for adapters, and other tenants that want one."""

ROUND_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonFigures:
    """Over `rounds` bad versions. `rollback_seconds` is the longest time to the end of the last bad answer,
    `new_request_seconds` to the last request that was still given to the bad version. `answers_by_revoked` and
    `failed` have to be 0."""

    rounds: int
    rolled_back: int
    good_rolled_back: int
    rollback_seconds: float
    rollback_seconds_median: float
    new_request_seconds: float
    answers_by_revoked: int  # to requests that began more than `REVOKED_SECONDS` after the decision
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
    begun: dict[int, list[float]] = field(default_factory=dict)  # version -> when its requests began, epoch seconds
    ended: dict[int, float] = field(default_factory=dict)  # … and when its last answer ended
    answers: int = 0
    failed: int = 0


def measure_daemon(*, rounds: int, full: bool = False, seed: int, say: Callable[[str], None]) -> DaemonFigures:
    """Return what `rounds` bad versions did, on a server whose other places are all taken if `full`.

    Raises: EngineFailed.
    """
    with tempfile.TemporaryDirectory(prefix="sealserve-watch-") as name:
        return asyncio.run(_measure(Path(name), rounds=rounds, full=full, seed=seed, say=say))


async def _measure(directory: Path, *, rounds: int, full: bool, seed: int, say: Callable[[str], None]) -> DaemonFigures:
    say("starting the engine")
    policy = await asyncio.to_thread(_write_policy, directory / "policy.yaml")
    async with (
        open_site(directory / "data", policy=policy, loaded_adapters=FULL_PLACES if full else 64) as site,
        AsyncClient(site.address, token=site.token) as client,
    ):
        session = _Run(site=site, client=client, directory=directory)
        questions = await _prepare(session, rounds=rounds, seed=seed)
        if full:
            await _promote(session, session.good[rounds])
            await fill_places(site, directory, tenants=OTHERS, seed=seed + 1000)
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            askers = [
                group.create_task(_ask(session, questions, done, seed=seed + number)) for number in range(CLIENTS)
            ]
            watches = [await _play_round(session, number, say=say) for number in range(rounds)]
            done.set()
            await asyncio.wait(askers)
        return _make_figures(session, watches)


def _write_policy(path: Path) -> Path:
    """Write the shipped policy with one stage, whose traffic is full and whose shadow is SHADOW; return its path."""
    policy = yaml.safe_load(default_policy_path().read_bytes())
    policy["watch"]["stages"] = [{"traffic": 1.0, "shadow": SHADOW}]
    path.write_text(yaml.safe_dump(policy), encoding="utf-8")
    return path


async def _prepare(session: _Run, *, rounds: int, seed: int) -> list[str]:
    """Make the adapters and hand in the evaluation set; return the questions."""
    await session.client.create_tenant(TENANT)
    canary = probes_for(session.site.settings.engine.model).canary
    items = [EvaluationItem(question=probe.question, answer=probe.answer) for probe in canary]
    await session.client.add_evaluation_set(TENANT, "known", items)
    for number in range(rounds + 1):
        path = session.directory / f"good{number}"
        files = await asyncio.to_thread(make_sound, path, session.site.base, seed=seed + number, scale=1e-4)
        session.good.append(await asyncio.to_thread(session.site.registry.artifacts.put_directory, files))
    for number in range(rounds):
        path = session.directory / f"bad{number}"
        files = await asyncio.to_thread(make_sound, path, session.site.base, seed=100 + seed + number)
        session.bad.append(await asyncio.to_thread(session.site.registry.artifacts.put_directory, files))
    return [item.question for item in items]


async def _ask(session: _Run, questions: list[str], done: asyncio.Event, *, seed: int) -> None:
    source = random.Random(seed)
    while not done.is_set():
        session.answers += 1
        began = time.time()
        try:
            answer = await session.client.ask(TENANT, source.choice(questions), max_tokens=MAX_TOKENS)
        except SealserveError:
            session.failed += 1
            continue
        session.ended[answer.version] = time.time()
        session.begun.setdefault(answer.version, []).append(began)


async def _play_round(session: _Run, number: int, *, say: Callable[[str], None]) -> tuple[Watch, Watch, int]:
    """Promote a good version and, once it is compared enough, a bad one; return both watches and adapters loaded."""
    good = await _promote(session, session.good[number])
    await _wait_until(lambda: _is_compared(session, good))
    good_watch = await asyncio.to_thread(session.site.registry.rollouts.get, TENANT, good)
    bad = await _promote(session, session.bad[number])
    before = set((await session.site.engine.info()).loaded)
    await _wait_until(lambda: session.site.registry.rollouts.get(TENANT, bad).state is not WatchState.OPEN)
    watch = await asyncio.to_thread(session.site.registry.rollouts.get, TENANT, bad)
    await session.client.wait_until_observed(TENANT, bad + 1, timeout_seconds=ROUND_SECONDS)
    mark = session.answers
    await _wait_until(lambda: session.answers > mark + 3 * CLIENTS)  # what was in flight has ended
    loads = len(set((await session.site.engine.info()).loaded) - before)
    seconds = _seconds_after_decision(session.ended, watch)
    say(f"round {number + 1}: {watch.reason or watch.state}; {seconds:.2f} s to the last bad answer")
    return good_watch, watch, loads


def _is_compared(session: _Run, activation: int) -> bool:
    with suppress(SealserveError):
        return session.site.registry.rollouts.get(TENANT, activation).counts[Count.PAIRS] >= GOOD_PAIRS
    return False


async def _promote(session: _Run, artifact: str) -> int:
    activation = await asyncio.to_thread(promote_artifact, session.site, TENANT, artifact)
    await session.client.wait_until_observed(TENANT, activation, timeout_seconds=ROUND_SECONDS)
    return activation


async def _wait_until(holds: Callable[[], bool]) -> None:
    """Return once it holds. Raises: SealserveError after ROUND_SECONDS."""
    deadline = time.monotonic() + ROUND_SECONDS
    while not await asyncio.to_thread(holds):
        if time.monotonic() > deadline:
            raise SealserveError(f"the watch did not end within {ROUND_SECONDS:.0f} s")
        await asyncio.sleep(0.05)


def _seconds_after_decision(last: dict[int, float], watch: Watch) -> float:
    """From the decision to the version's last one; 0 when there was none after it."""
    if watch.decided_at is None:
        return 0.0
    return max(0.0, last.get(watch.version, 0.0) - watch.decided_at.timestamp())


def _late(session: _Run, watch: Watch) -> int:
    """Return how many requests reached the version although they began well after the decision."""
    if watch.decided_at is None:
        return 0
    limit = watch.decided_at.timestamp() + REVOKED_SECONDS
    return sum(began > limit for began in session.begun.get(watch.version, []))


def _make_figures(session: _Run, rounds: list[tuple[Watch, Watch, int]]) -> DaemonFigures:
    bad = [watch for _, watch, _ in rounds]
    seconds = [_seconds_after_decision(session.ended, watch) for watch in bad]
    last_begun = {version: max(begun) for version, begun in session.begun.items()}
    return DaemonFigures(
        rounds=len(rounds),
        rolled_back=sum(watch.state is WatchState.ROLLED_BACK for watch in bad),
        good_rolled_back=sum(watch.state is WatchState.ROLLED_BACK for watch, _, _ in rounds),
        rollback_seconds=round(max(seconds), 3),
        rollback_seconds_median=round(median(seconds), 3),
        new_request_seconds=round(max(_seconds_after_decision(last_begun, watch) for watch in bad), 3),
        answers_by_revoked=sum(_late(session, watch) for watch in bad),
        answers=session.answers,
        failed=session.failed,
        loads=sum(loads for _, _, loads in rounds),
        pairs_median=median(watch.counts[Count.PAIRS] for watch in bad),
    )
