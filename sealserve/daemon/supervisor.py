"""`sealserve up`: serves in this process, and restarts `learn` and `web` as child processes."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from time import monotonic

import structlog

from sealserve.daemon.learn import LEARN_STOP_SECONDS
from sealserve.daemon.lifetime import run_to_end, until_stopped
from sealserve.daemon.serve import serve
from sealserve.settings.settings import Settings
from sealserve.telemetry.names import LogEvent

_log = structlog.get_logger(__name__)

FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS = 1.0, 60.0


STEADY_SECONDS = 120.0
"""A child that ran this long is restarted without back-off."""


def run_up(settings: Settings, *, parent: int | None = None) -> None:
    """Serve in this process and keep `learn` and `web` running as children, until stopped. Raises: as `run_serve`."""

    async def all_parts() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(settings), name="serve")
            group.create_task(_keep_running("learn", settings), name="learn")
            if not settings.web.is_off:
                group.create_task(_keep_running("web", settings), name="web")

    run_to_end(until_stopped(all_parts, parent))


async def _keep_running(command: str, settings: Settings) -> None:
    """Run `command` as a child, and restart it when it ends, with exponential back-off after short runs."""
    wait = FIRST_BACK_OFF_SECONDS
    while True:
        started = monotonic()
        code = await _run_child(command, settings)
        wait = FIRST_BACK_OFF_SECONDS if monotonic() - started > STEADY_SECONDS else wait
        _log.warning(
            LogEvent.LEARN_ENDED if command == "learn" else LogEvent.WEB_ENDED, exit_code=code, restart_seconds=wait
        )
        await asyncio.sleep(wait)
        wait = min(2 * wait, LONGEST_BACK_OFF_SECONDS)


async def _run_child(command: str, settings: Settings) -> int:
    line = [sys.executable, "-m", "sealserve.daemon", command, str(os.getpid())]
    child = await asyncio.create_subprocess_exec(
        *line, env={**os.environ, **settings.as_environment()}, stdin=asyncio.subprocess.DEVNULL
    )
    try:
        return await child.wait()
    finally:
        if child.returncode is None:
            child.terminate()
            await _ended(child.wait, child.kill)


async def _ended(wait: Callable[[], Awaitable[int]], kill: Callable[[], None]) -> None:
    try:
        await asyncio.wait_for(wait(), LEARN_STOP_SECONDS + 5)
    except TimeoutError:
        kill()
        await wait()
