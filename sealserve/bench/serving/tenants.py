"""The tenants figure: an installation with many tenants, few of which fit into the engine at a time.

The server is that of `sealserve serve`, every version is sealed, and callers come over gRPC. As many callers ask at the
same time in every part, each for one tenant after the other:

- resident: only for as many tenants as fit into the engine, so that nothing is loaded;
- round robin: each caller for a tenant of its own, again and again, so that nearly every answer waits for a load;
- Zipf: for tenants drawn with weights 1/rank, as real traffic is spread.
"""

import asyncio
import gc
import math
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from sealserve.bench.harness.adapters import make_sound
from sealserve.bench.harness.serving_site import Site, open_site, promote_artifact
from sealserve.client import AsyncClient
from sealserve.errors import SealserveError
from sealserve.settings.engine import FREE_PLACES

PLACES, SLOTS = 8, 4
DISTINCT = 12
"""Different adapters; tenants take them in turn."""

MAX_TOKENS = 8
STARVED_SECONDS = 5.0
IDLE_LOOKS = 20
ZIPF_EXPONENT = 1.0
PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many tenants and callers a run has."""

    registered: int
    with_version: int
    active: int
    answers: int  # of each caller in each part


FULL = Size(registered=10_000, with_version=1_000, active=64, answers=6)
QUICK = Size(registered=300, with_version=60, active=16, answers=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFigures:
    """One part. `starved`: answers that began over five seconds late while another tenant got two that were asked for
    later; `wrong`: answers of another version than the tenant's."""

    answers: int
    refused: int
    wrong: int
    starved: int
    ttft_p50_ms: float
    ttft_p99_ms: float
    longest_wait_s: float
    reasons: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantsFigures:
    """`refused` and `starved` have to be 0. `ttft_p99_over_resident` divides the 99th percentile of the time to the
    first token in the Zipf part by that in the resident part, `ttft_p99_round_robin_over_resident` that in the other;
    `poll_ms` is the median time of one look of the activator while nothing changes."""

    refused: int
    starved: int
    wrong: int
    ttft_p99_over_resident: float
    ttft_p99_round_robin_over_resident: float
    poll_ms: float
    rss_kib_per_registered: float
    size: dict[str, int]
    parts: dict[str, PartFigures]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    tenant: str
    asked: float
    began: float  # its first token
    version: int
    error: str


def run(*, quick: bool = False, say: Callable[[str], None] = print) -> TenantsFigures:
    """Return the figures. Raises: EngineFailed."""
    with tempfile.TemporaryDirectory(prefix="sealserve-tenants-") as name:
        return asyncio.run(_measure(Path(name), size=QUICK if quick else FULL, say=say))


async def _measure(directory: Path, *, size: Size, say: Callable[[str], None]) -> TenantsFigures:
    started = time.monotonic()
    say("starting the engine")
    async with open_site(directory / "data", loaded_adapters=PLACES + FREE_PLACES, slots=SLOTS) as site:
        artifacts = [await _store(site, directory, seed) for seed in range(DISTINCT)]
        gc.collect()
        before = _rss_bytes()
        await _register(site, size, artifacts, say=say)
        await site.activator.settle()
        poll_ms = await _idle_look_ms(site)
        gc.collect()
        grown = max(0, _rss_bytes() - before)
        names = [_name(number) for number in range(size.active)]
        parts: dict[str, PartFigures] = {}
        for part, plans in _plans(names, size).items():
            say(f"{part}: {len(plans)} callers, {size.answers} answers each")
            parts[part] = _figures(await _play(site, plans))
    resident = parts["resident"].ttft_p99_ms
    return TenantsFigures(
        refused=sum(part.refused for part in parts.values()),
        starved=sum(part.starved for part in parts.values()),
        wrong=sum(part.wrong for part in parts.values()),
        ttft_p99_over_resident=round(parts["zipf"].ttft_p99_ms / resident, 2),
        ttft_p99_round_robin_over_resident=round(parts["round_robin"].ttft_p99_ms / resident, 2),
        poll_ms=poll_ms,
        rss_kib_per_registered=round(grown / size.registered / 1024, 2),
        size=asdict(size),
        parts=parts,
        seconds=round(time.monotonic() - started, 1),
    )


def _name(number: int) -> str:
    return f"tenant-{number}"


async def _store(site: Site, directory: Path, seed: int) -> str:
    files = await asyncio.to_thread(make_sound, directory / f"adapter{seed}", site.base, seed=seed)
    return await asyncio.to_thread(site.registry.artifacts.put_directory, files)


async def _register(site: Site, size: Size, artifacts: Sequence[str], *, say: Callable[[str], None]) -> None:
    """Make the tenants; the first of them get a version, the active ones last: they are the newest."""

    def make() -> None:
        for number in range(size.registered):
            site.registry.tenants.create(_name(number), actor="bench")
        say(f"{size.registered} tenants registered")
        for number in reversed(range(size.with_version)):
            promote_artifact(site, _name(number), artifacts[number % len(artifacts)])
        say(f"{size.with_version} versions promoted")

    await asyncio.to_thread(make)


async def _idle_look_ms(site: Site) -> float:
    await asyncio.sleep(IDLE_LOOKS * site.settings.serve.poll_seconds)  # what was looked at before has ended
    site.activator.look_seconds.clear()
    await asyncio.sleep(2 * IDLE_LOOKS * site.settings.serve.poll_seconds)
    return round(1000 * median(site.activator.look_seconds), 2)


def _plans(names: Sequence[str], size: Size) -> dict[str, list[list[str]]]:
    """Return for each part and caller whom it asks for."""
    few = names[: PLACES - 1]  # one place stays free: nobody has to leave
    weights = [1 / rank**ZIPF_EXPONENT for rank in range(1, len(names) + 1)]
    source = random.Random(0)
    callers = range(len(names))
    return {
        "resident": [[few[caller % len(few)]] * size.answers for caller in callers],
        "round_robin": [[names[caller]] * size.answers for caller in callers],
        "zipf": [source.choices(names, weights, k=size.answers) for _ in callers],
    }


async def _play(site: Site, plans: Sequence[Sequence[str]]) -> list[_Answer]:
    """Have every caller ask in its order; those before the first answers of a part are not counted."""
    async with AsyncClient(site.address, token=site.token) as client:
        for name in {plan[0] for plan in plans[: PLACES - 1]}:
            await client.ask(name, "Hello.", max_tokens=1)
        answers = await asyncio.gather(*(_ask_all(client, plan) for plan in plans))
    return [answer for one in answers for answer in one]


async def _ask_all(client: AsyncClient, plan: Sequence[str]) -> list[_Answer]:
    return [await _ask(client, tenant) for tenant in plan]


async def _ask(client: AsyncClient, tenant: str) -> _Answer:
    asked, began, version, error = time.monotonic(), 0.0, 0, ""
    try:
        async for event in client.stream(tenant, "Where is the harbour office?", max_tokens=MAX_TOKENS):
            began = began or time.monotonic()
            version = getattr(event, "version", version)
    except SealserveError as failure:
        error = failure.reason
    return _Answer(tenant=tenant, asked=asked, began=began or time.monotonic(), version=version, error=error)


def _figures(answers: Sequence[_Answer]) -> PartFigures:
    good = [answer for answer in answers if not answer.error]
    waits = sorted(answer.began - answer.asked for answer in good) or [0.0]
    return PartFigures(
        answers=len(good),
        refused=len(answers) - len(good),
        wrong=sum(answer.version != 1 for answer in good),
        starved=sum(_is_starved(answer, good) for answer in good),
        ttft_p50_ms=round(1000 * median(waits), 1),
        ttft_p99_ms=round(1000 * waits[math.ceil(0.99 * len(waits)) - 1], 1),
        longest_wait_s=round(waits[-1], 2),
        reasons=dict(Counter(answer.error for answer in answers if answer.error)),
    )


def _is_starved(answer: _Answer, answers: Sequence[_Answer]) -> bool:
    if answer.began - answer.asked <= STARVED_SECONDS:
        return False
    served = Counter(
        other.tenant
        for other in answers
        if other.tenant != answer.tenant and answer.asked <= other.asked and other.began <= answer.began
    )
    return any(times > 1 for times in served.values())


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES
