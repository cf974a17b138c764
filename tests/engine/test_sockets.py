"""Where sockets lie, and who clears what a kill leaves."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealserve.engine import sockets


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory with a short name."""
    with tempfile.TemporaryDirectory(prefix="s-") as name:
        monkeypatch.setattr("tempfile.gettempdir", lambda: name)
        sockets._made.cache_clear()
        yield Path(name)
    sockets._made.cache_clear()


def test_a_process_has_one_directory_that_others_cannot_enter(parent: Path) -> None:
    made = sockets.socket_directory()
    assert made == sockets.socket_directory()
    assert made.parent == parent
    assert made.stat().st_mode & 0o077 == 0


def test_a_directory_that_was_cleared_away_is_made_anew(parent: Path) -> None:
    first = sockets.socket_directory()
    shutil.rmtree(first)
    second = sockets.socket_directory()
    assert second != first
    assert second.is_dir()


def test_what_a_killed_process_left_is_removed_and_a_living_one_s_stays(parent: Path) -> None:
    program = (
        "import os, signal\nfrom sealserve.engine import sockets\n"
        "print(sockets.socket_directory(), flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env={**os.environ, "TMPDIR": str(parent)}, check=False
    )
    left = Path(ran.stdout.decode().strip())
    (left / "socket").touch()
    own, being_made = sockets.socket_directory(), parent / f"{sockets.PREFIX}1-abc"
    being_made.mkdir()
    sockets.remove_left_behind(parent)
    assert left.parent == parent
    assert not left.exists()
    assert own.is_dir()
    assert being_made.is_dir()


def test_a_path_too_long_for_a_socket_is_not_used(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = parent / ("d" * 80)
    deep.mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(deep))
    assert sockets.socket_directory() == deep
    assert list(deep.iterdir()) == []
