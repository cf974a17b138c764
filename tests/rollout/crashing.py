"""What a killed replica was doing: it watches the version that is active now, until the watch ends."""

import asyncio
from pathlib import Path

from sealserve.engine.base_model import base_shape
from sealserve.gate.thresholds import StageRule
from sealserve.registry.registry import Registry
from tests.rollout.conftest import Watched, open_watched, rule
from tests.serving.conftest import Publisher

RULE = rule(StageRule(traffic=0.5, shadow=1, until_pairs=10), StageRule(traffic=1, shadow=1))
QUESTIONS = 30
TWO_DAYS_SECONDS = 2 * 86400.0


async def main(directory: Path, base: Path, *, wrong: bool) -> Watched:
    """Serve, ask and wait until the watch of the active version has ended; `wrong`: it answers wrongly."""
    registry = Registry.open(f"sqlite:///{directory / 'registry.db'}", directory / "artifacts")
    publisher = Publisher(registry, directory / "adapters", base)
    replica = open_watched(registry, publisher, directory, base_shape(base), watch_rule=RULE)
    replica.wrong |= {registry.versions.get("acme", 2).engine_name} if wrong else set()
    await replica.engine.start()
    await replica.settle()
    await replica.ask_all(n=QUESTIONS)
    await replica.settle()
    replica.time.seconds += TWO_DAYS_SECONDS
    await replica.settle()
    return replica


def run(directory: Path, base: Path, wrong: bool) -> None:
    """Do that as a process of its own does."""
    asyncio.run(main(directory, base, wrong=wrong))
