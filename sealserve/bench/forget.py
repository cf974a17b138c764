"""The forgetting figure: articles are taught one by one, one of them is forgotten, and every one is asked about again.

Everything goes through the public client, against real daemons on this machine. Knows nothing of how versions are
rebuilt.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sealserve.bench.kill import tell
from sealserve.client import AsyncClient
from sealserve.demo import exam
from sealserve.demo.exam import Question
from sealserve.errors import Unavailable
from sealserve.local import LocalDaemon
from sealserve.nano.world import Article
from sealserve.records import Cycle, CycleState, Document

TENANT = "forgets"
_POLL_SECONDS = 0.3
_CYCLE_SECONDS = 900.0
_FINAL = frozenset(CycleState) - {CycleState.PENDING, CycleState.RUNNING}
_GOALS = {"forgotten_above_base": 0.03, "others_lost": 0.02}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetFigures:
    """Accuracies over 24 held-out questions on each article; every article but one counts among the others."""

    articles: int
    never_taught: float  # on the article, before anything was taught
    taught: float  # on it, once all were taught
    at_once: float  # on it, by the version that answers until the rest is taught again
    forgotten: float  # on it, once the rest was taught again
    forgotten_above_base: float
    others_taught: float
    others_after: float
    others_lost: float
    versions_revoked: int
    rollback_seconds: float  # from the call to the first answer by a version that never saw it
    rebuild_seconds: float  # from the call to the rest live again
    verdict: str  # of the cycle that taught the rest
    goals: dict[str, float]
    seed: int


def run(*, articles: int = 3, seed: int = 11, say: Callable[[str], None] = tell) -> ForgetFigures:
    """Teach `articles` articles and forget the second. Raises: Unavailable (a cycle that does not promote)."""
    with tempfile.TemporaryDirectory(prefix="sealserve-forget-") as name:
        environment = {"SEALSERVE_LEARN__GATHER_SECONDS": "0.5"}
        with LocalDaemon(Path(name), environment=environment) as daemon:
            say("starting serve and learn")
            daemon.wait_until_serving()
            return asyncio.run(_measure(daemon, articles=articles, seed=seed, say=say))


async def _measure(daemon: LocalDaemon, *, articles: int, seed: int, say: Callable[[str], None]) -> ForgetFigures:
    given = exam.fresh_articles(seed, articles)
    exams = [exam.exam(article, seed=seed) for article in given]
    gone, others = exams[1], [asked for place, asked in enumerate(exams) if place != 1]
    async with AsyncClient(daemon.address, token=daemon.token) as client:
        await client.create_tenant(TENANT)
        never = await _accuracy(client, [gone])
        kept = [await _teach(client, article, say=say) for article in given]
        taught, others_taught = await _accuracy(client, [gone]), await _accuracy(client, others)
        say(f"forgetting {given[1].title!r}")
        started = time.monotonic()
        done = await client.forget_document(TENANT, kept[1].document, reason="bench forget")
        await _observed(client)
        rolled_back = time.monotonic() - started
        at_once = await _accuracy(client, [gone])
        cycle = await _ended(client, done.cycle)
        await _observed(client)
        rebuilt = time.monotonic() - started
        after, others_after = await _accuracy(client, [gone]), await _accuracy(client, others)
    return ForgetFigures(
        articles=articles,
        never_taught=never,
        taught=taught,
        at_once=at_once,
        forgotten=after,
        forgotten_above_base=round(after - never, 4),
        others_taught=others_taught,
        others_after=others_after,
        others_lost=round(others_taught - others_after, 4),
        versions_revoked=len(done.versions),
        rollback_seconds=round(rolled_back, 2),
        rebuild_seconds=round(rebuilt, 1),
        verdict=cycle.state,
        goals=_GOALS,
        seed=seed,
    )


async def _teach(client: AsyncClient, article: Article, *, say: Callable[[str], None]) -> Document:
    document, _ = await client.add_document(TENANT, article.text, title=article.title, media_type="text/plain")
    cycle = await _ended(client, "")
    if cycle.state is not CycleState.PROMOTED:
        raise Unavailable(f"{article.title!r} was not promoted, so that there is nothing to forget: {cycle.reason}")
    await _observed(client)
    say(f"taught {article.title!r}")
    return document


async def _ended(client: AsyncClient, cycle: str) -> Cycle:
    """Return the cycle, or the newest one, once no document waits for it. Raises: Unavailable (time is up)."""
    deadline = time.monotonic() + _CYCLE_SECONDS
    while time.monotonic() < deadline:
        waits = [d async for d in client.documents(TENANT) if d.state in ("admitted", "learning")]
        found = [report.cycle async for report in client.cycles(TENANT)]
        wanted = [one for one in found if one.cycle == cycle] if cycle else found[:1]
        if wanted and wanted[0].state in _FINAL and (cycle or not waits):
            return wanted[0]
        await asyncio.sleep(_POLL_SECONDS)
    raise Unavailable(f"a cycle had not ended after {_CYCLE_SECONDS:.0f} s")


async def _observed(client: AsyncClient) -> None:
    tenant = await client.tenant(TENANT)
    await client.wait_until_observed(TENANT, tenant.activation)


async def _accuracy(client: AsyncClient, exams: list[list[Question]]) -> float:
    results = [await exam.sit(client, TENANT, asked) for asked in exams]
    return round(sum(result.accuracy for result in results) / len(results), 4)
