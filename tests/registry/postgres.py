"""A PostgreSQL server of the tests' own: started from its binaries, on a Unix socket, gone afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

_OPTIONS = "-c listen_addresses='' -c fsync=off -c max_connections=60 -c shared_buffers=16MB"


def binaries() -> Path | None:
    """Return the directory of initdb and pg_ctl, if the server is installed."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = [Path(path).parent for path in [shutil.which("initdb")] if path]
    return next((folder for folder in [*packaged, *found] if (folder / "pg_ctl").exists()), None)


class Server:
    """A running server; hands out empty databases."""

    def __init__(self, socket: Path, user: str) -> None:
        self._socket = socket
        self._user = user
        self._numbers = count(1)

    def new_database(self) -> str:
        """Return the URL of a database that nobody has used."""
        name = f"registry_{next(self._numbers)}"
        address = f"host={self._socket} user={self._user} dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return f"postgresql://{self._user}@/{name}?host={self._socket}"


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server in a fresh directory and stop it at the end; as root it runs as another user."""
    folder = binaries()
    assert folder is not None
    directory = Path(tempfile.mkdtemp(prefix="pg-"))
    user = _unprivileged()
    shutil.chown(directory, user=user)
    data = directory / "data"
    try:
        _run(user, folder / "initdb", "-D", data, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        options = f"{_OPTIONS} -c unix_socket_directories='{directory}'"
        _run(user, folder / "pg_ctl", "-D", data, "-l", directory / "log", "-w", "-o", options, "start")
        try:
            yield Server(directory, user)
        finally:
            _run(user, folder / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _unprivileged() -> str:
    own = pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() != 0:
        return own
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _run(user: str, program: Path, *arguments: str | Path) -> None:
    is_root = os.geteuid() == 0
    done = subprocess.run(
        [str(program), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        user=user if is_root else None,
        group=pwd.getpwnam(user).pw_gid if is_root else None,
        extra_groups=[] if is_root else None,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"{program.name} failed with {done.returncode}"
