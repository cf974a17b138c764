"""A process that leads its session lowers it as a whole; asked of the system itself where it groups by session."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sealserve.daemon import learn
from sealserve.processes import niceness as module
from sealserve.processes.niceness import SessionNiceness, is_grouped_by_session, lower_session_priority

_CHILD = """
from pathlib import Path
from sealserve.processes.niceness import lower_priority, lower_session_priority
print(lower_priority(7), lower_session_priority(3), Path("/proc/self/stat").read_text().rpartition(")")[2].split()[16])
print(Path("/proc/self/autogroup").read_text() if Path("/proc/self/autogroup").exists() else "")
"""


def child(*, leads_session: bool) -> tuple[list[str], str]:
    """Return what a child that lowers its priority to 7 says of it: the outcomes and its niceness; its group."""
    ended = subprocess.run(
        [sys.executable, "-c", _CHILD], start_new_session=leads_session, capture_output=True, text=True, check=True
    )
    outcome, _, group = ended.stdout.partition("\n")
    return outcome.split(), group.strip()


def test_child_that_leads_its_session_lowers_it_and_never_raises_it_again() -> None:
    outcome, group = child(leads_session=True)
    niceness = min(19, os.getpriority(os.PRIO_PROCESS, 0) + 7)
    if is_grouped_by_session():
        assert outcome == ["set", "set", str(niceness)]
        assert group.endswith("nice 7")
    else:
        assert outcome == ["needless", "needless", str(niceness)]


def test_child_in_the_session_of_others_leaves_that_alone() -> None:
    before = module.AUTOGROUP.read_text() if module.AUTOGROUP.exists() else ""
    outcome, group = child(leads_session=False)
    assert outcome[0] == ("foreign" if is_grouped_by_session() else "needless")
    assert group == before.strip()


class System:
    """Stands for /proc: what a write does, one after the other."""

    def __init__(self, *outcomes: int) -> None:
        self.outcomes = list(outcomes)
        self.written: list[str] = []

    def write_text(self, text: str, *, encoding: str) -> None:
        if self.outcomes and (number := self.outcomes.pop(0)):
            raise OSError(number, os.strerror(number))
        self.written.append(text)

    def read_text(self, *, encoding: str) -> str:
        return "/autogroup-7 nice 0\n"


@pytest.fixture
def grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_grouped_by_session", lambda: True)
    monkeypatch.setattr(os, "getsid", lambda pid: os.getpid())
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0)


@pytest.mark.usefixtures("grouped")
@pytest.mark.parametrize(
    ("outcomes", "became", "written"),
    [
        ([], SessionNiceness.SET, ["5"]),
        ([errno.EAGAIN, errno.EAGAIN], SessionNiceness.SET, ["5"]),
        ([errno.EAGAIN] * 20, SessionNiceness.REFUSED, []),
        ([errno.EPERM], SessionNiceness.REFUSED, []),
        ([errno.EROFS], SessionNiceness.REFUSED, []),
    ],
)
def test_change_that_comes_too_often_is_tried_again_and_others_are_given_up(
    outcomes: list[int], became: SessionNiceness, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    system = System(*outcomes)
    monkeypatch.setattr(module, "AUTOGROUP", system)
    assert lower_session_priority(5) is became
    assert system.written == written


def test_system_without_groups_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AUTOGROUP", tmp_path / "missing")
    assert lower_session_priority(5) is SessionNiceness.NEEDLESS
    (tmp_path / "autogroup").write_text("")
    (tmp_path / "enabled").write_text("0\n")
    monkeypatch.setattr(module, "AUTOGROUP", tmp_path / "autogroup")
    monkeypatch.setattr(module, "IS_GROUPED", tmp_path / "enabled")
    assert lower_session_priority(5) is SessionNiceness.NEEDLESS


@pytest.mark.parametrize(
    ("became", "parent", "events"),
    [
        (SessionNiceness.SET, None, [("session.priority_lowered", "info")]),
        (SessionNiceness.SET, 7, [("session.priority_lowered", "info")]),
        (SessionNiceness.FOREIGN, None, [("session.priority_not_lowered", "warning")]),
        (SessionNiceness.FOREIGN, 7, []),  # a child of `sealserve up`: both are of one session
        (SessionNiceness.REFUSED, 7, [("session.priority_not_lowered", "warning")]),
        (SessionNiceness.NEEDLESS, None, []),
    ],
)
def test_learn_says_whether_it_yields_to_serving(
    became: SessionNiceness, parent: int | None, events: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn, "lower_session_priority", lambda niceness: became)
    with capture_logs() as logs:
        learn._yield_to_serving(5, parent=parent)
    assert [(line["event"], line["log_level"]) for line in logs] == events
