"""What the beside figure divides; the run itself needs real daemons."""

import pytest

from sealserve.bench.serving.beside import AFTER, BEFORE, Timed, quantiles_of, ratios
from sealserve.errors import Unavailable


def timed(*milliseconds: float, phase: str = BEFORE) -> list[Timed]:
    return [Timed(phase=phase, first_ms=value, answer_ms=4 * value) for value in milliseconds]


def test_ratios_divide_the_times_beside_a_cycle_by_those_without_one() -> None:
    found = ratios(timed(*range(2, 202, 2), phase="write"), timed(*range(1, 101)))
    assert set(found) == {f"{name}_{part}_ratio" for name in ("ttft", "answer") for part in ("p50", "p90", "p99")}
    assert set(found.values()) == {2.0}


def test_quantiles_are_in_milliseconds_of_both_times() -> None:
    found = quantiles_of(timed(*range(1, 101), phase=AFTER))
    assert found == {
        "answers": 100,
        "ttft_p50_ms": 51, "ttft_p90_ms": 91, "ttft_p99_ms": 100,
        "answer_p50_ms": 204, "answer_p90_ms": 364, "answer_p99_ms": 400,
    }  # fmt: skip


def test_figure_without_answers_is_no_figure() -> None:
    with pytest.raises(Unavailable):
        quantiles_of([])
