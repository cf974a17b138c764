"""The abuse figure plays every row and sees what the neighbour is refused; its times on a fake engine say nothing."""

from pathlib import Path

import pytest

from sealserve.bench.serving import abuse
from sealserve.bench.serving.abuse_rows import Row
from tests.bench.test_swap import pretend


@pytest.mark.slow
def test_every_row_is_played_and_the_neighbour_is_not_refused(monkeypatch: pytest.MonkeyPatch, tiny_base: Path) -> None:
    pretend(monkeypatch, tiny_base)
    figures = abuse.run(quick=True, say=lambda line: None)
    assert list(figures.rows) == [row.value for row in Row]
    assert all(found.codes for found in figures.rows.values())
    assert all(found.answers > 0 for found in figures.rows.values())
    assert figures.refused_within_share == figures.checks_failed == 0
    assert figures.others_p99_ratio > 0
    assert "RESOURCE_EXHAUSTED" in figures.rows[Row.HEALTH].codes
    assert "RESOURCE_EXHAUSTED" in figures.rows[Row.WATCHES].codes
    assert set(figures.rows[Row.LONG_COUNTS].codes) <= {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}
