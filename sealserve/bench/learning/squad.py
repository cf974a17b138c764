"""The squad figure: whole cycles on passages that the embedded model cannot read. Nothing may crash or be promoted."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sealserve.bench.harness.learning_lab import TENANT, Say, about, open_lab
from sealserve.bench.harness.squad_file import read_passages
from sealserve.records.cycles import CycleState
from sealserve.records.documents import NewDocument


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
            new = NewDocument(title=title, text=text, source="bench", media_type="text/plain")
            cycle = await lab.run_cycle(TENANT, [new])
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
