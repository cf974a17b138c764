"""Two real processes over one registry, one of which is killed again and again: clients notice nothing."""

from pathlib import Path

import pytest

from sealserve.bench.reliability import kill_replicas
from sealserve.daemon.local import LocalDaemon

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_call_is_lost_and_no_answer_is_wrong_while_one_replica_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalDaemon, "module", "tests.bench.fake_daemon")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(kill_replicas, "CALM_SECONDS", (1.0, 2.0))
    figures = kill_replicas.run(kills=2, say=lambda line: None)
    assert figures.kills == 2
    assert figures.answers > 20
    assert (figures.lost, figures.wrong, figures.stale, figures.held_up) == (0, 0, 0, 0), figures
    assert figures.promotions > 0
