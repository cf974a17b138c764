"""A learning process: as `sealserve learn` puts it together, but with a simulated trainer and probes.

Its settings are read from the environment. It ends at SIGTERM.
"""

import asyncio
import signal
from dataclasses import replace

from sealserve.daemon.learn import open_context
from sealserve.learning.scheduler import Learner
from sealserve.settings.settings import load_settings
from tests.stories.student import PROBES, Teacher


def main(name: str) -> None:
    """Learn until told to stop."""
    asyncio.run(_learn(name))


async def _learn(name: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_context(load_settings()) as context:
        await Learner(replace(context, trainer=Teacher(), probes=PROBES), worker=name).run(stop)
