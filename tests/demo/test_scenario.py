"""How the demo ends when its story cannot be told to the end."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from sealserve.demo import scenario
from sealserve.records.cycles import CycleState


class QuietDaemon:
    """A daemon that serves at once and says little."""

    address = "127.0.0.1:1"

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def wait_until_serving(self) -> None: ...

    def last_words(self) -> str:
        return "the daemon's last words"


@pytest.mark.parametrize(("state", "code"), [(CycleState.HELD, 5), (CycleState.REJECTED, 5), (CycleState.FAILED, 1)])
def test_a_first_cycle_without_a_version_ends_the_demo_at_its_verdict(
    state: CycleState, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async def refused(*_: Any) -> scenario.Figures:
        raise scenario.NotPromoted(state, "old skills: a human decides")

    monkeypatch.setattr(scenario, "LocalDaemon", QuietDaemon)
    monkeypatch.setattr(scenario, "_story", refused)
    assert scenario.run_demo(json_output=True, data_directory=tmp_path) == code
    shown = capsys.readouterr()
    error = json.loads(shown.out)["error"]
    assert error["reason"] == "NOT_PROMOTED"
    assert state.value in error["message"]
    assert "a human decides" in error["message"]
    assert "a human decides" in " ".join(shown.err.split())
    assert ("last words" in shown.err) is (state is CycleState.FAILED)
