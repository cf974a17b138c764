"""The abuse figure sees what each side is refused; its times on a fake engine say nothing."""

from pathlib import Path

import pytest

from sealserve.bench.serving import abuse
from sealserve.bench.serving.abuse_rows import WAVES, Row
from tests.bench.test_swap import pretend


def test_every_row_can_be_played() -> None:
    assert set(WAVES) == set(Row)


@pytest.mark.slow
def test_neighbour_is_not_refused_while_the_bad_caller_is(monkeypatch: pytest.MonkeyPatch, tiny_base: Path) -> None:
    pretend(monkeypatch, tiny_base)
    wanted = (Row.HEALTH, Row.LONG_COUNTS, Row.WATCHES)
    figures = abuse.run(quick=True, rows=wanted, say=lambda line: None)
    assert list(figures.rows) == [row.value for row in wanted]
    assert all(found.answers > 0 for found in figures.rows.values())
    assert figures.refused_within_share == figures.checks_failed == 0
    assert figures.others_p99_ratio > 0
    assert "RESOURCE_EXHAUSTED" in figures.rows[Row.HEALTH].codes
    assert "RESOURCE_EXHAUSTED" in figures.rows[Row.WATCHES].codes
    assert "RESOURCE_EXHAUSTED" in figures.rows[Row.LONG_COUNTS].codes
