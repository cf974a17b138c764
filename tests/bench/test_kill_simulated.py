"""The kill figure with real processes and a simulated model: kill -9 at step edges and in `serve`."""

import os
from pathlib import Path

import pytest

from sealserve.bench.kill import run
from tests.contract.tree import ROOT
from tests.stories.student import article

KILLS = 6
SIMULATED = Path(__file__).parent / "simulated"


@pytest.mark.timeout(900)
def test_nothing_is_lost_and_nothing_happens_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SIMULATED), str(ROOT)]))
    figures = run(kills=KILLS, write=lambda number: article(f"Varnel Lamp{number}"))
    assert (figures.lost, figures.twice, figures.unfinished, figures.failed) == (0, 0, 0, 0)
    assert figures.audit_whole
    assert figures.kills == KILLS
    assert figures.at_points == KILLS - 1  # the one on `serve` falls on no point
    assert figures.promoted >= 1
