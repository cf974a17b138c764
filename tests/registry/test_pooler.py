"""A pooler between the registry and its server, where each transaction may run on another connection."""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from sealserve.records.documents import NewDocument
from sealserve.registry.registry import Registry
from tests.registry.postgres import NEEDS_SERVER, Server
from tests.rpc.harness import until

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = [pytest.mark.pg, NEEDS_SERVER]


def test_nothing_outlasts_its_transaction(postgres: Server, tmp_path: Path) -> None:
    registry = Registry.open(postgres.new_database(), tmp_path / "artifacts")
    registry.tenants.create("acme", actor="ann")
    for _ in range(10):
        registry.tenants.get("acme")
    with registry._database._engine.connect() as connection:
        kept = connection.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one()
        locks = connection.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")).scalar_one()
        shown = [connection.execute(text(f"SHOW {name}")).scalar_one() for name in ("lock_timeout", "TimeZone")]
        fresh = [connection.execute(text(f"SELECT reset_val FROM pg_settings WHERE name = '{name}'")).scalar_one()
                 for name in ("lock_timeout", "TimeZone")]  # fmt: skip
    assert (kept, locks, shown) == (0, 0, fresh)
    registry.close()


@pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_registry_works_behind_a_pooler(postgres: Server, tmp_path: Path, mode: str) -> None:
    with pooled(postgres, mode=mode) as url:
        registry = Registry.open(url, tmp_path / "artifacts")
        registry.tenants.create("acme", actor="ann")

        def work(thread: int) -> int:
            for n in range(15):
                new = NewDocument(title=f"{thread}-{n}", text=f"{thread} {n}", source="rpc", media_type="text/plain")
                registry.documents.add("acme", new, actor="ann")
                registry.tenants.get("acme")
            return 15

        with ThreadPoolExecutor(6) as pool:
            assert sum(pool.map(work, range(6))) == 90
        assert registry.audit.verify() == 91
        registry.close()


@contextmanager
def pooled(postgres: Server, *, mode: str) -> Iterator[str]:
    """Give the URL of a new database of `postgres` behind a pooler of fewer connections than threads."""
    assert PGBOUNCER is not None
    name = postgres.new_database().partition("@/")[2].partition("?")[0]
    folder, user = Path(tempfile.mkdtemp(prefix="pgb-", dir="/tmp")), postgres._user
    size = 3 if mode == "transaction" else 20
    (folder / "users").write_text(f'"{user}" ""\n')
    (folder / "ini").write_text(
        f"[databases]\n* = host={postgres._directory} user={user}\n[pgbouncer]\nlisten_addr =\n"
        f"unix_socket_dir = {folder}\nlisten_port = 6499\nauth_type = trust\nauth_file = {folder}/users\n"
        f"pool_mode = {mode}\ndefault_pool_size = {size}\nmax_client_conn = 100\nlogfile = {folder}/log\n"
    )
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, user=user)
    owner = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    pooler = subprocess.Popen(
        [PGBOUNCER, str(folder / "ini")], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, cwd="/", **owner,
    )  # type: ignore[call-overload]  # fmt: skip
    try:
        asyncio.run(until(lambda: _answers(folder, name, user)))
        yield f"postgresql://{user}@/{name}?host={folder}&port=6499"
    finally:
        pooler.terminate()
        pooler.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(folder: Path, name: str, user: str) -> bool:
    try:
        psycopg.connect(f"host={folder} port=6499 user={user} dbname={name}").close()
    except psycopg.OperationalError:
        return False
    return True
