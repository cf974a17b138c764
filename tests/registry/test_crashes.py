"""A process killed at each named point: what it had acknowledged is there, nothing is half there."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sealserve.errors import NotFound
from sealserve.fault_injection import FAULT_POINTS
from sealserve.records.cycles import CycleState
from sealserve.records.documents import DocumentState
from sealserve.records.rollouts import WATCH_ACTOR, Trigger, WatchState
from sealserve.records.versions import BASE_VERSION
from sealserve.registry.registry import Registry
from tests.forking import run_child
from tests.registry import crashing

pytestmark = pytest.mark.slow  # each test kills a process

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("point", FAULT_POINTS)
def test_killed_process_loses_nothing_and_the_next_one_finishes(
    point: str, tmp_path: Path, empty_registry: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'r.db'}"
    shutil.copyfile(empty_registry, tmp_path / "r.db")
    killed = run_child(crashing.main, tmp_path, url, fault=f"{point}:kill", directory=tmp_path)
    assert killed.code == -signal.SIGKILL, killed.stderr
    registry = Registry.open(url, tmp_path / "artifacts")
    for name in killed.stdout.split():
        assert registry.documents.text("acme", name) == "An article."
    for version in registry.versions.page("acme").items:
        assert registry.artifacts.directory(version.artifact).is_dir()
    assert registry.audit.verify() == registry.audit.head()[0]
    crashing.main(tmp_path, url)
    tenant = registry.tenants.get("acme")
    assert (tenant.desired_version, tenant.activation) == (BASE_VERSION, 9)
    assert [version.version for version in registry.versions.page("acme").items] == [1]
    assert [cycle.state for cycle in registry.cycles.page("acme").items] == [CycleState.HELD]
    states = [document.state for document in registry.documents.page("acme").items]
    assert states == [DocumentState.WITHDRAWN, DocumentState.FORGOTTEN]
    with pytest.raises(NotFound):
        registry.artifacts.get_bytes(hashlib.sha256(crashing.UNWANTED.encode()).hexdigest())
    _assert_watched_once(registry)
    assert registry.audit.verify() == 17
    registry.close()


def _assert_watched_once(registry: Registry) -> None:
    """Each watch began once, moved once, ended once, and the pointer is where the last one left it."""
    failed, passed = registry.rollouts.page("acme").items
    assert (passed.activation, passed.state, passed.stage) == (3, WatchState.PASSED, 1)
    assert (failed.activation, failed.state, failed.trigger) == (7, WatchState.ROLLED_BACK, Trigger.QUALITY)
    moves = [(move.kind, move.actor) for move in reversed(registry.versions.activations("acme").items)]
    assert moves[2:] == [
        ("promote", "ann"), ("traffic", WATCH_ACTOR), ("traffic", WATCH_ACTOR), ("rollback", "ann"),
        ("promote", "ann"), ("traffic", WATCH_ACTOR), ("rollback", WATCH_ACTOR),
    ]  # fmt: skip
    told = [row.action for row in registry.audit.rows(tenant="acme") if row.actor == WATCH_ACTOR]
    assert told == ["adapter.traffic", "adapter.traffic", "adapter.traffic", "adapter.rollback"]
    assert (registry.rollouts.open_watches(), registry.rollouts.standby("acme")) == ((), None)


def test_every_point_in_the_code_is_one_that_a_kill_test_goes_through() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "sealserve").rglob("*.py"))
    assert sorted(re.findall(r'fault_injection\.point\("([a-z_.]+)"\)', code)) == sorted(FAULT_POINTS)


def test_point_stops_the_process_until_it_is_told_to_go_on() -> None:
    program = (
        "from sealserve.fault_injection import point\nprint('a', flush=True); point('a.b'); print('b', flush=True)"
    )
    environment = {**os.environ, "SEALSERVE_FAULT": "a.b:stop"}
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert (os.WIFSTOPPED(status), os.WSTOPSIG(status)) == (True, signal.SIGSTOP)
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=60)[0] == "a\nb\n"
    assert process.returncode == 0


@pytest.mark.parametrize(("fault", "printed"), [("a.b:kill:2", "once"), ("a.b:kill", ""), ("other:kill", "once twice")])
def test_point_kills_at_its_turn_and_no_other(fault: str, printed: str) -> None:
    program = (
        "from sealserve.fault_injection import point\n"
        "for word in ('once', 'twice'): point('a.b'); print(word, flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "SEALSERVE_FAULT": fault},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == printed.split()
    assert (done.returncode == -signal.SIGKILL) == (printed != "once twice")
