"""The command line against a whole server: real registry and wire, a fake engine, its loop in a thread."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from typer.testing import CliRunner, Result

from sealserve.cli.app import app
from sealserve.registry.registry import Registry
from sealserve.settings.sources import SourceSettings
from tests.fakes import FakeEngine
from tests.registry.world import World
from tests.rpc.harness import ADMIN_SECRET, served


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command did. `shown` is the JSON object on its last line, {} without one."""

    code: int
    out: str
    err: str
    shown: dict[str, Any]


def run(*arguments: str, stdin: str | bytes | None = None) -> Ran:
    """Run the command line in this process."""
    result: Result = CliRunner().invoke(app, list(arguments), input=stdin, catch_exceptions=False)
    lines = result.stdout.splitlines()
    shown = json.loads(lines[-1]) if "--json" in arguments and lines else {}
    return Ran(code=result.exit_code, out=result.stdout, err=result.stderr, shown=shown)


@dataclass(kw_only=True)
class Site:
    """A running server and short ways to call it."""

    address: str
    world: World
    engine: FakeEngine

    @property
    def registry(self) -> Registry:
        return self.world.registry

    def run(self, *arguments: str, stdin: str | bytes | None = None) -> Ran:
        """Run a command against this server."""
        return run("--address", self.address, "--token", ADMIN_SECRET, *arguments, stdin=stdin)

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run a command with --json; return its object after checking the exit code."""
        ran = self.run(*arguments, "--json")
        assert ran.code == code, ran
        assert len(ran.out.splitlines()) == 1, ran.out
        return ran.shown


@contextmanager
def running(directory: Path, *, sources: SourceSettings | None = None) -> Iterator[Site]:
    """Serve the tenants acme and globex for the length of the block."""
    ready: list[Site] = []
    is_up, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with served(directory, sources=sources) as here:
            ready.append(Site(address=here.address, world=here.world, engine=here.engine))
            is_up.set()
            await stop.wait()

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="site")
    thread.start()
    assert is_up.wait(20)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
        structlog.reset_defaults()
