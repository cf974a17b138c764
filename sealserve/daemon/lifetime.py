"""Runs a process of the daemon until SIGTERM, SIGINT or the end of its parent."""

import asyncio
import os
import resource
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from sealserve.concurrency import first_of

OPEN_FILES = 65_536
"""Shells allow 1,024."""

_PARENT_POLL_SECONDS = 1.0


def run_to_end(work: Coroutine[Any, Any, None]) -> None:
    """Run `work`; of an exception group, raise the first error, since the command line reports single errors.

    Files that this process and its children make from now on are their owner's alone.
    """
    os.umask(0o077)
    _open_more_files()
    try:
        asyncio.run(work)
    except BaseExceptionGroup as group:
        raise first_of(group) from group


def _open_more_files() -> None:
    """Raise this process's limit of open files, as far as the system lets it: a connection is one."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    if resource.RLIM_INFINITY != limit < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


async def until_stopped(work: Callable[[], Coroutine[Any, Any, None]], parent: int | None) -> None:
    """Run `work` until it ends or a stop is requested; then cancel it and wait for its clean-up."""
    async with stop_event(parent) as stop:
        task, told = asyncio.create_task(work()), asyncio.create_task(stop.wait())
        await asyncio.wait((task, told), return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if task.done():
            await task
            return
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def stop_event(parent: int | None) -> AsyncIterator[asyncio.Event]:
    """Give an event that SIGTERM, SIGINT or the end of `parent` sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    guard = asyncio.create_task(_stop_with(parent, stop)) if parent is not None else None
    try:
        yield stop
    finally:
        if guard is not None:
            guard.cancel()


async def _stop_with(parent: int, stop: asyncio.Event) -> None:
    while os.getppid() == parent:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _PARENT_POLL_SECONDS)
    stop.set()
