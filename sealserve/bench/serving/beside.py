"""The beside figure: how fast one tenant is answered while another one's documents are learned on the same machine.

Runs real daemons, `serve` and `learn`. A client streams answers one after the other; the same client's answers before
the cycle and after it are what its answers beside the cycle are compared with.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from sealserve.canonical import Json
from sealserve.client import AsyncClient
from sealserve.daemon.local import LocalDaemon
from sealserve.daemon.workbench import machine
from sealserve.errors import Unavailable
from sealserve.nano.world import World
from sealserve.records.cycles import STEPS, Cycle, CycleState

ASKING, LEARNING = "asking", "learning"
MAX_TOKENS = 32
BEFORE, AFTER = "idle before", "idle after"
IDLE_SECONDS = 60.0
QUICK_IDLE_SECONDS = 15.0
CYCLE_SECONDS, QUICK_CYCLE_SECONDS = 3600.0, 420.0
"""What has not ended by then is counted as far as it came."""

POLL_SECONDS = 0.25
_FINAL = frozenset(CycleState) - {CycleState.PENDING, CycleState.RUNNING}
_WORLD_SEED = 20261129
_FACTS_PER_DOCUMENT = 4
_QUICK = {
    "SEALSERVE_LEARN__TRAINING__CANDIDATES": "1",
    "SEALSERVE_LEARN__TRAINING__MAX_STEPS": "16",
    "SEALSERVE_LEARN__SUITE_ITEMS": "20",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One answer: when it was asked for, and milliseconds to its first token and to its end."""

    phase: str
    first_ms: float
    answer_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideFigures:
    """The ratios divide the answers beside the cycle by those without it. `phases` has the steps of the cycle."""

    ttft_p50_ratio: float
    ttft_p90_ratio: float
    ttft_p99_ratio: float
    answer_p50_ratio: float
    answer_p90_ratio: float
    answer_p99_ratio: float
    cycle_state: str
    cycle_seconds: float
    learning_slowdown: float  # the setting it ran with
    answers: int
    failed: int
    phases: Mapping[str, Json]
    seconds: float
    machine: str
    date: str


@dataclass(slots=True)
class _Run:
    """A client that asks, and what it saw. `phase` is set by whoever knows it."""

    client: AsyncClient
    phase: str = BEFORE
    timed: list[Timed] = field(default_factory=list)
    failed: int = 0


def run(
    *, documents: int = 2, slowdown: float = 2.0, quick: bool = False, say: Callable[[str], None] = print
) -> BesideFigures:
    """Return the figures of one cycle over that many documents. `slowdown` is `serve.learning_slowdown`.

    Raises: Unavailable (a daemon does not start, or no cycle begins).
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sealserve-beside-") as name:
        with _daemons(Path(name), slowdown=slowdown, quick=quick) as (serve, learn):
            say("starting serve")
            serve.start()
            serve.wait_until_serving()
            timed, failed, cycle, seconds = asyncio.run(
                _measure(serve, learn, documents=documents, quick=quick, say=say)
            )
    idle = [one for one in timed if one.phase in (BEFORE, AFTER)]
    beside = [one for one in timed if one.phase not in (BEFORE, AFTER)]
    return BesideFigures(
        **ratios(beside, idle),
        cycle_state=cycle.state.value,
        cycle_seconds=round(seconds, 1),
        learning_slowdown=slowdown,
        answers=len(timed),
        failed=failed,
        phases={phase: quantiles_of(one for one in timed if one.phase == phase) for phase in _phases(timed)},
        seconds=round(time.monotonic() - started, 1),
        machine=machine(),
        date=datetime.now(UTC).date().isoformat(),
    )


def ratios(beside: list[Timed], idle: list[Timed]) -> dict[str, float]:
    """Return for both times and each quantile what it is beside the cycle, divided by what it is without."""
    above, below = quantiles_of(beside), quantiles_of(idle)
    return {
        f"{name}_{part}_ratio": round(above[f"{name}_{part}_ms"] / below[f"{name}_{part}_ms"], 2)
        for name in ("ttft", "answer")
        for part in ("p50", "p90", "p99")
    }


def quantiles_of(timed: Iterable[Timed]) -> Json:
    """Return how many there are, and the quantiles of both times in milliseconds. Raises: Unavailable (none)."""
    timed = list(timed)
    if not timed:
        raise Unavailable("a phase of the figure has no answer")
    both = {"ttft": [one.first_ms for one in timed], "answer": [one.answer_ms for one in timed]}
    parts = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    found = {
        f"{name}_{part}_ms": round(_quantile(values, share), 1)
        for name, values in both.items()
        for part, share in parts.items()
    }
    return {"answers": len(timed), **found}


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _phases(timed: Iterable[Timed]) -> list[str]:
    order = (BEFORE, *(step.value for step in STEPS), AFTER)
    return sorted({one.phase for one in timed}, key=order.index)


@contextmanager
def _daemons(directory: Path, *, slowdown: float, quick: bool) -> Iterator[tuple[LocalDaemon, LocalDaemon]]:
    environment = {
        "SEALSERVE_SERVE__LEARNING_SLOWDOWN": str(slowdown),
        "SEALSERVE_LEARN__GATHER_SECONDS": "0.5",
        **(_QUICK if quick else {}),
    }
    serve = LocalDaemon(directory, command="serve", environment=environment)
    learn = LocalDaemon(directory, command="learn", address=serve.address, environment=environment)
    with ExitStack() as stack:
        stack.callback(serve.kill, whole_group=True)
        stack.callback(learn.kill, whole_group=True)
        yield serve, learn


async def _measure(
    serve: LocalDaemon, learn: LocalDaemon, *, documents: int, quick: bool, say: Callable[[str], None]
) -> tuple[list[Timed], int, Cycle, float]:
    idle_seconds = QUICK_IDLE_SECONDS if quick else IDLE_SECONDS
    async with AsyncClient(serve.address, token=serve.token) as client:
        for tenant in (ASKING, LEARNING):
            await client.create_tenant(tenant)
        run = _Run(client)
        done = asyncio.Event()
        asking = asyncio.create_task(_ask_again_and_again(run, done))
        say(f"asking for {idle_seconds:.0f} s without learning")
        await asyncio.sleep(idle_seconds)
        began = time.monotonic()
        run.phase = STEPS[0].value
        for number in range(documents):
            world = World(_WORLD_SEED + number)
            article = world.article(world.rng("beside"), 1, _FACTS_PER_DOCUMENT)
            await client.add_document(LEARNING, article.text, title=f"Article {number}")
        learn.start()
        cycle = await _follow(run, seconds=QUICK_CYCLE_SECONDS if quick else CYCLE_SECONDS, say=say)
        seconds = time.monotonic() - began
        await asyncio.to_thread(learn.stop)
        run.phase = AFTER
        await asyncio.sleep(idle_seconds)
        done.set()
        await asking
        return run.timed, run.failed, cycle, seconds


async def _ask_again_and_again(run: _Run, done: asyncio.Event) -> None:
    for number in count():
        if done.is_set():
            return
        phase, began, first = run.phase, time.perf_counter(), 0.0
        try:
            stream = run.client.stream(ASKING, f"What does note {number} say?", max_tokens=MAX_TOKENS)
            async with aclosing(stream) as events:
                async for _ in events:
                    first = first or time.perf_counter() - began
        except Unavailable:
            run.failed += 1
            continue
        timed = Timed(phase=phase, first_ms=first * 1000, answer_ms=(time.perf_counter() - began) * 1000)
        run.timed.append(timed)


async def _follow(run: _Run, *, seconds: float, say: Callable[[str], None]) -> Cycle:
    """Set the phase to the step that runs, until the cycle has ended or time is up; return it.

    Raises: Unavailable (none has begun).
    """
    deadline = time.monotonic() + seconds
    while True:
        reports = [report async for report in run.client.cycles(LEARNING)]
        is_late = time.monotonic() > deadline
        if is_late and not reports:
            raise Unavailable(f"no cycle began within {seconds:.0f} s")
        if reports:
            cycle = reports[0].cycle
            if cycle.state in _FINAL or is_late:
                return cycle
            phase = STEPS[STEPS.index(cycle.step) + 1 if cycle.step is not None else 0].value
            if phase != run.phase:
                say(f"{phase}; {len(run.timed)} answers")
                run.phase = phase
        await asyncio.sleep(POLL_SECONDS)
