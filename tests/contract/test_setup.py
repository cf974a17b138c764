"""ops/setup says what to do when it cannot go on, and does nothing when there is nothing to do."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contract.tree import ROOT

TOOLS = ("bash", "cat", "cut", "dirname", "env", "flock", "grep", "mktemp", "mkdir", "rm", "sha256sum", "tail", "tee")
PYTHON = """#!/usr/bin/env bash
# Stands in for Python: a pip that prints $PIP_SAYS and fails, unless $PIP_SAYS is empty.
case "$*" in
  *config*) exit 1 ;;
  *--without-pip*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; exit 0 ;;
  *install*) echo "$PIP_SAYS" >&2; exit 1 ;;
  --version) echo Python 3.11.0 ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a PATH of its own in bin/: the usual tools, no Python."""
    (tmp_path / "ops").mkdir()
    (tmp_path / "bin").mkdir()
    for name in ("pyproject.toml", "ops/setup", "ops/constraints-cpu.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    for tool in (*TOOLS, "cp"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    return tmp_path


def setup(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(checkout / "ops/setup")],
        env={"PATH": str(checkout / "bin"), "TMPDIR": str(checkout), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def give_python(checkout: Path) -> None:
    python = checkout / "bin/python3.11"
    python.write_text(PYTHON, encoding="utf-8")
    python.chmod(0o755)


def test_missing_python_is_named_with_the_package_to_install(checkout: Path) -> None:
    result = setup(checkout)
    assert result.returncode == 1
    assert "no Python 3.11" in result.stderr
    assert "apt-get install python3" in result.stderr
    assert not (checkout / ".venv").exists()


def test_unknown_build_is_refused(checkout: Path) -> None:
    give_python(checkout)
    result = setup(checkout, SEALSERVE_BUILD="tpu")
    assert result.returncode == 1
    assert "it can be cpu or cuda" in result.stderr


@pytest.mark.parametrize(
    ("pip_says", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("NewConnectionError: Network is unreachable", "the package index cannot be reached"),
        ("ERROR: no matching distribution (from versions: none)", "the package index cannot be reached"),
        ("something else", "the reason stands above"),
    ],
)
def test_failed_install_shows_the_reason_and_says_what_to_do(checkout: Path, pip_says: str, advice: str) -> None:
    give_python(checkout)
    result = setup(checkout, SEALSERVE_BUILD="cpu", PIP_SAYS=pip_says)
    assert result.returncode == 1
    assert pip_says in result.stderr
    assert advice in result.stderr
    assert result.stdout == ""
    assert not list((checkout / ".venv").glob("setup-*"))
