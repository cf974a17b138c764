"""A PostgreSQL server of the tests' own: started from its binaries, on a Unix socket, gone afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path

import psycopg
import pytest

from sealserve.registry.sql import schema
from sealserve.registry.sql.database import Database

_OPTIONS = "-c listen_addresses='' -c fsync=off -c max_connections=60 -c shared_buffers=16MB"


def binaries() -> Path | None:
    """Return the directory of initdb and pg_ctl, if the server is installed."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = [Path(path).parent for path in [shutil.which("initdb")] if path]
    return next((folder for folder in [*packaged, *found] if (folder / "pg_ctl").exists()), None)


NEEDS_SERVER = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server binaries on this machine")


class Server:
    """A server in `directory`, which is also where its socket is; hands out databases without rows."""

    def __init__(self, directory: Path, user: str) -> None:
        folder = binaries()
        assert folder is not None
        self._programs = folder
        self._directory = directory
        self._user = user
        self._numbers = count(1)
        self._run("initdb", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")

    def new_database(self, *, is_migrated: bool = True) -> str:
        """Return the URL of a database that nobody has used: with the newest schema, or without any."""
        return self._url(self._create(self._migrated if is_migrated else "template1"))

    @cached_property
    def _migrated(self) -> str:
        """The name of a database to copy; to run every migration takes longer."""
        name = self._create("template1")
        with closing(Database(self._url(name))) as database:
            schema.migrate(database)
        return name

    def _create(self, template: str) -> str:
        name = f"registry_{next(self._numbers)}"
        address = f"host={self._directory} user={self._user} dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return name

    def _url(self, name: str) -> str:
        return f"postgresql://{self._user}@/{name}?host={self._directory}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = f"{_OPTIONS} -c unix_socket_directories='{self._directory}'"
        self._run("pg_ctl", "-l", self._directory / "log", "-w", "-o", options, "start")

    def stop(self) -> None:
        """Stop at once, whoever is connected."""
        self._run("pg_ctl", "-m", "immediate", "stop")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stand still for a while."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _run(self, program: str, *arguments: str | Path) -> None:
        is_root = os.geteuid() == 0
        done = subprocess.run(
            [str(self._programs / program), "-D", str(self._directory / "data"), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            user=self._user if is_root else None,
            group=pwd.getpwnam(self._user).pw_gid if is_root else None,
            extra_groups=[] if is_root else None,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{program} failed with {done.returncode}"


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server in a fresh directory and stop it at the end; as root it runs as another user."""
    directory = Path(tempfile.mkdtemp(prefix="pg-"))
    user = _unprivileged()
    shutil.chown(directory, user=user)
    try:
        server = Server(directory, user)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _unprivileged() -> str:
    own = pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() != 0:
        return own
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
