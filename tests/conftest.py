"""What the whole run shares: one vLLM engine, which takes a minute to start, the tiny model, an empty registry."""

import gc
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache, wraps
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import pytest_asyncio
import structlog
import typer.main
import typer.testing
import yaml
from hypothesis import HealthCheck
from sqlalchemy import URL, Dialect, Engine
from sqlalchemy.util import LRUCache

from sealserve.engine.base_model import BaseShape, base_shape
from sealserve.engine.vllm_engine import VllmEngine
from sealserve.intake import inbox, sandbox
from sealserve.policy import rulebook
from sealserve.policy.bundle import Bundle
from sealserve.registry.sql import database as database_module
from sealserve.registry.sql import schema
from sealserve.registry.sql.database import Database
from sealserve.rpc import server
from sealserve.settings.engine import EngineSettings
from tests.engine.tiny_model import make_tiny_model
from tests.registry.postgres import Server, running_server
from tests.scheduling import OneEngineScheduling, is_deselected_whole, longest_first, seconds_of_folders

FEW_EXAMPLES = 25
"""Examples that the fast tests draw for each property; all tests draw Hypothesis's own number."""

TINY_ENGINE = EngineSettings(
    max_rank=8, slots=2, loaded_adapters=32, kv_cache_gib=0.05, max_sequences=16, threads=1, dtype="float32"
)


def pytest_configure(config: pytest.Config) -> None:
    """Do once or faster what hundreds of tests do: read the shipped policy (20 ms) and prove the rules (70 ms), build
    the command line (40 ms), read the certificates of all authorities for an HTTP client (20 ms), start the process
    that reads documents (a second), wait for the disk (5 ms a commit), compile a statement (a millisecond), look up
    the installed version (3 ms).
    """
    get_command = cache(typer.main.get_command)
    for owner, name, quick in (
        (yaml, "SafeLoader", yaml.CSafeLoader),
        (rulebook, "proven_bundle", _proven_once(rulebook.proven_bundle)),
        (typer.main, "get_command", get_command),
        (typer.testing, "_get_command", get_command),
        (httpx._transports.default, "create_ssl_context", cache(httpx.create_ssl_context)),
        (inbox, "Sandbox", cache(sandbox.Sandbox)),
        (server, "version", cache(metadata.version)),
        (os, "fsync", lambda descriptor: None),
        (database_module, "_prepare_sqlite", _without_disk(database_module._prepare_sqlite)),
        (database_module, "_engine", _sharing_compiled(database_module._engine)),
    ):
        setattr(owner, name, quick)
    # Nothing that was drawn has to be quick. Before collection, for decorators take the settings that they find.
    examples = FEW_EXAMPLES if "not slow" in config.getoption("markexpr") else hypothesis.settings().max_examples
    hypothesis.settings.register_profile(
        "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples
    )
    hypothesis.settings.load_profile("patient")
    gc.disable()  # until everything is imported


def pytest_collection_finish() -> None:
    """Have no garbage collection look again at what was imported: with vLLM and torch each takes a second.

    Others are rare: a worker has memory for the little that waits for one.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def _proven_once(prove: Callable[[Path], Bundle]) -> Callable[[Path], Bundle]:
    once = cache(lambda directory, _stamp: prove(directory))
    return lambda directory: once(directory, rulebook._stamp(directory))


def _without_disk(prepare: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    @wraps(prepare)
    def prepared(connection: Any, record: Any) -> None:
        prepare(connection, record)
        connection.execute("PRAGMA synchronous=OFF")

    return prepared


def _sharing_compiled(make: Callable[..., Engine]) -> Callable[..., Engine]:
    """Let all SQLite engines have one dialect, by which SQLAlchemy finds again what it has compiled."""
    compiled = LRUCache[Any, Any](5000)
    dialects: list[Dialect] = []

    def made(url: URL, *, busy_seconds: float) -> Engine:
        engine = make(url, busy_seconds=busy_seconds)
        if url.get_backend_name() == "sqlite":
            dialects.append(engine.dialect)
            engine.dialect, engine._compiled_cache = dialects[0], compiled
            del dialects[1:]
        return engine

    return made


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files of which nothing would run."""
    return is_deselected_whole(collection_path, config.getoption("markexpr")) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    longest_first(items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """With --durations: show how many seconds each folder of tests took, all workers together."""
    if terminalreporter.config.getoption("durations"):
        lines = seconds_of_folders(chain.from_iterable(terminalreporter.stats.values()))
        terminalreporter.write_sep("=", "seconds of each folder")
        terminalreporter.write_line(", ".join(lines))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneEngineScheduling:
    """Share the files out among workers."""
    config.option.loadscopereorder = False
    return OneEngineScheduling(config, log)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny-base"))


@pytest.fixture(scope="session")
def tiny_shape(tiny_base: Path) -> BaseShape:
    return base_shape(tiny_base)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vllm_engine(tiny_base: Path) -> AsyncIterator[VllmEngine]:
    """Use it from tests that run on the session's loop."""
    engine = VllmEngine(TINY_ENGINE, base=tiny_base)
    await engine.start()
    yield engine
    await engine.close()


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema and no rows."""
    path = tmp_path_factory.mktemp("empty-registry") / "registry.db"
    database = Database(f"sqlite:///{path}")
    schema.migrate(database)
    database.close()
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server."""
    with running_server() as server:
        yield server


@pytest.fixture(autouse=True)
def registries_start_migrated(empty_registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a new SQLite registry be a copy of the empty one; to run every migration takes as long as most tests."""
    migrate = schema.migrate

    def copy_and_migrate(database: Database) -> None:
        path = Path(database.url.database or "")
        if database.is_sqlite and path.parent.is_dir() and not path.exists():
            shutil.copyfile(empty_registry, path)
        else:
            migrate(database)

    monkeypatch.setattr(schema, "migrate", copy_and_migrate)


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """Undo what a test sets up for logging, which is the whole process's."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
