"""The squad figure: whole cycles on passages that the embedded model cannot read. Nothing may crash or be promoted."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sealserve.bench.harness.learning_lab import TENANT, Lab, Say, about, open_lab
from sealserve.bench.harness.squad_file import read_passages
from sealserve.learning.scheduler import Learner
from sealserve.records.cycles import Cycle, CycleState
from sealserve.records.documents import NewDocument

_OPEN = (CycleState.PENDING, CycleState.RUNNING)


def run(*, data: Path, passages: int = 20, quick: bool = False, seed: int = 0, say: Say = print) -> dict[str, Any]:
    """Return how many cycles had which verdict, one passage a cycle. Raises: BadConfig (data), EngineFailed."""
    subjects = read_passages(data, n=2 if quick else passages, is_spread=True)
    return asyncio.run(_measure([(one.title, one.text) for one in subjects], seed=seed, say=say))


async def _measure(documents: list[tuple[str, str]], *, seed: int, say: Say) -> dict[str, Any]:
    started = time.monotonic()
    async with open_lab(seed=seed, say=say, max_attempts=1) as lab:
        registry = lab.context.registry
        await asyncio.to_thread(registry.tenants.create, TENANT, actor="bench")
        verdicts: Counter[tuple[str, str]] = Counter()
        for title, text in documents:
            cycle = await _learn(lab, title, text)
            verdicts[cycle.state.value, cycle.reason] += 1
            say(f"{title}: {cycle.state.value}: {cycle.reason}")
        states: Counter[str] = Counter()
        for (state, _), n in verdicts.items():
            states[state] += n
        return {
            "passages": verdicts.total(),
            "crashed": states[CycleState.FAILED.value],
            "promoted": states[CycleState.PROMOTED.value],
            "states": dict(sorted(states.items())),
            "version": (await asyncio.to_thread(registry.tenants.get, TENANT)).desired_version,
            "verdicts": [{"passages": n, "state": state, "reason": why} for (state, why), n in verdicts.items()],
            **about(lab, seconds=time.monotonic() - started),
        }


async def _learn(lab: Lab, title: str, text: str) -> Cycle:
    """Hand the document in and carry its cycle to the end, as `sealserve learn` does."""
    registry = lab.context.registry
    new = NewDocument(title=title, text=text, source="bench", media_type="text/plain")
    await asyncio.to_thread(registry.documents.add, TENANT, new, actor="bench")
    learner = Learner(lab.context, worker="bench")
    await learner.gather()
    cycle = await learner.work_once()
    while cycle is not None and cycle.state in _OPEN:
        cycle = await learner.work_once()
    assert cycle is not None, "a document was admitted and no cycle was opened"
    return cycle
