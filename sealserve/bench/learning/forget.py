"""The forgetting figure: articles are taught one by one, one of them is forgotten, and every one is asked about again.

Then the last one is replaced: a newer article gives other values for some of its facts. Everything goes through the
public client, against real daemons on this machine. In between, what a revoked version still answers on a full server.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sealserve.bench.harness.intervals import with_goals
from sealserve.bench.learning.forget_full import measure_full
from sealserve.bench.reliability.kill import tell
from sealserve.client import AsyncClient
from sealserve.daemon.local import LocalDaemon
from sealserve.demo import questions
from sealserve.demo.questions import Question
from sealserve.errors import Unavailable
from sealserve.nano.world import Article, World
from sealserve.records.cycles import Cycle, CycleState
from sealserve.records.documents import Document

TENANT = "forgets"
GONE = 1
"""The place of the article that is forgotten; the last one is replaced."""

_PROBE = "document.forget.probe"
_POLL_SECONDS = 0.3
_CYCLE_SECONDS = 900.0
_FINAL = frozenset(CycleState) - {CycleState.PENDING, CycleState.RUNNING}
_GOALS = {
    "forgotten_above_base": ("<=", 0.03),
    "others_lost": ("<=", 0.02),
    "old_answers": ("<=", 0.10),
    "new_answers": (">=", 0.85),
    "unrelated_lost": ("<=", 0.02),
}
_FULL_GOALS = {"answers_by_revoked": ("<=", 0.0), "failed": ("<=", 0.0)}
_ROUNDS = 10


def run(*, articles: int = 3, quick: bool = False, seed: int = 11, say: Callable[[str], None] = tell) -> dict[str, Any]:
    """Teach `articles` articles, forget the second, replace the last; `quick`: the full server alone, without learning.

    Accuracies are over 24 held-out questions an article. Raises: Unavailable (a cycle that does not promote).
    """
    full = asdict(measure_full(rounds=2 if quick else _ROUNDS, seed=seed, say=say))
    full["goals"] = with_goals(full, _FULL_GOALS)
    figures = {} if quick else _run_learning(articles=articles, seed=seed, say=say)
    return {**figures, "answers_by_revoked": full["answers_by_revoked"], "full": full}


def _run_learning(*, articles: int, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="sealserve-forget-") as name:
        environment = {"SEALSERVE_LEARN__GATHER_SECONDS": "0.5"}
        with LocalDaemon(Path(name), environment=environment) as daemon:
            say("starting serve and learn")
            daemon.wait_until_serving()
            return asyncio.run(_measure(daemon, articles=articles, seed=seed, say=say))


async def _measure(daemon: LocalDaemon, *, articles: int, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    given = questions.fresh_articles(seed, articles)
    async with AsyncClient(daemon.address, token=daemon.token) as client:
        await client.create_tenant(TENANT)
        never = await _measure_accuracy(client, [questions.exam(given[GONE], seed=seed)])
        kept = [await _teach(client, article, say=say) for article in given]
        forgotten = await _forget(client, given, kept[GONE], never=never, seed=seed, say=say)
        replaced = await _replace(client, given, seed=seed, say=say)
    figures = {"articles": articles, **forgotten, **replaced}
    return {**figures, "goals": with_goals(figures, _GOALS), "seed": seed}


async def _forget(
    client: AsyncClient, given: Sequence[Article], document: Document, *, never: float, seed: int,
    say: Callable[[str], None],
) -> dict[str, Any]:  # fmt: skip
    """Forget one article. `at_once` is by the version that answers until the rest is taught again."""
    exams = [questions.exam(article, seed=seed) for article in given]
    gone, others = [exams[GONE]], [asked for place, asked in enumerate(exams) if place != GONE]
    taught, others_taught = await _measure_accuracy(client, gone), await _measure_accuracy(client, others)
    say(f"forgetting {given[GONE].title!r}")
    started = time.monotonic()
    done = await client.forget_document(TENANT, document.document, reason="bench forget")
    await _wait_until_observed(client)
    rolled_back = time.monotonic() - started
    at_once = await _measure_accuracy(client, gone)
    cycle = await _wait_for_end(client, done.cycle)
    await _wait_until_observed(client)
    rebuilt = time.monotonic() - started
    after, others_after = await _measure_accuracy(client, gone), await _measure_accuracy(client, others)
    return {
        "never_taught": never,
        "taught": taught,
        "at_once": at_once,
        "forgotten": after,
        "forgotten_above_base": round(after - never, 4),
        "probed_above_base": await _wait_for_probe(client, cycle.version),
        "others_taught": others_taught,
        "others_after": others_after,
        "others_lost": round(others_taught - others_after, 4),
        "versions_revoked": len(done.versions),
        "rollback_seconds": round(rolled_back, 2),
        "rebuild_seconds": round(rebuilt, 1),
        "verdict": cycle.state.value,
    }


async def _wait_for_probe(client: AsyncClient, version: int | None) -> float | None:
    """Return the share above the base that the unlearning probe of `version` found; None if none came in time."""
    deadline = time.monotonic() + _CYCLE_SECONDS
    while version and time.monotonic() < deadline:
        rows = [row.details async for row in client.audit(TENANT) if row.action == _PROBE]
        found = [row["above_base"] for row in rows if row["version"] == version]
        if found:
            return float(found[0])
        await asyncio.sleep(_POLL_SECONDS)
    return None


async def _replace(
    client: AsyncClient, given: Sequence[Article], *, seed: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Hand in a newer article on the last one's entity. Shares of questions on what it changes, old value and new."""
    world, last = World(seed), given[-1]
    newer = world.update(world.rng("replace"), last, questions.FACTS_PER_ARTICLE)
    old = {fact.attribute: fact.value for fact in last.facts}
    now = questions.exam(newer, seed=seed)
    former = questions.exam(
        replace(newer, facts=tuple(replace(f, value=old[f.attribute]) for f in newer.facts)), seed=seed
    )
    unrelated = [questions.exam(article, seed=seed) for place, article in enumerate(given[:-1]) if place != GONE]
    before, unrelated_before = await _measure_accuracy(client, [former]), await _measure_accuracy(client, unrelated)
    await _teach(client, newer, say=say)
    return {
        "old_answers_before": before,
        "old_answers": await _measure_accuracy(client, [former]),
        "new_answers": await _measure_accuracy(client, [now]),
        "unrelated_before": unrelated_before,
        "unrelated_lost": round(unrelated_before - await _measure_accuracy(client, unrelated), 4),
    }


async def _teach(client: AsyncClient, article: Article, *, say: Callable[[str], None]) -> Document:
    document, _ = await client.add_document(TENANT, article.text, title=article.title, media_type="text/plain")
    cycle = await _wait_for_end(client, "")
    if cycle.state is not CycleState.PROMOTED:
        raise Unavailable(f"{article.title!r} was not promoted; nothing can be measured: {cycle.reason}")
    await _wait_until_observed(client)
    say(f"taught {article.title!r}")
    return document


async def _wait_for_end(client: AsyncClient, cycle: str) -> Cycle:
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


async def _wait_until_observed(client: AsyncClient) -> None:
    tenant = await client.tenant(TENANT)
    await client.wait_until_observed(TENANT, tenant.activation)


async def _measure_accuracy(client: AsyncClient, exams: list[list[Question]]) -> float:
    results = [await questions.sit(client, TENANT, asked) for asked in exams]
    return round(sum(result.accuracy for result in results) / len(results), 4)
