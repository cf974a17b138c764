"""What learning costs: caps are named, returns that dip are seen, and failures are part of the price."""

import pytest

from sealserve.learning.editor.costs import Caps, Cost, Spent, has_dipped, over, seconds_per_point, total


def spent(seconds: float, gain: float | None) -> Spent:
    return Spent(cost=Cost(device_seconds=seconds, tokens=10, candidates=2), gain=gain)


def test_costs_add_up_and_a_point_costs_what_failed_too() -> None:
    history = [spent(100, 0.05), spent(100, -0.01), spent(100, None)]
    assert total(history) == Cost(device_seconds=300, tokens=30, candidates=6)
    assert seconds_per_point(history) == pytest.approx(60)
    assert seconds_per_point([spent(100, None)]) is None


def test_a_cap_is_named_when_it_is_passed() -> None:
    cost = Cost(device_seconds=20, tokens=5, candidates=1)
    assert over(cost, Caps()) == ""
    assert over(cost, Caps(device_seconds=20)) == ""
    assert over(cost, Caps(device_seconds=10, tokens=9)) == "over the cap: 20 of 10 device-seconds"


def test_returns_dip_against_the_best_window_before() -> None:
    assert not has_dipped([spent(10, 0.1)], window=1, share=0.25)
    assert not has_dipped([spent(10, 0.1), spent(10, 0.05)], window=1, share=0.25)
    assert has_dipped([spent(10, 0.1), spent(10, 0.02)], window=1, share=0.25)
    assert has_dipped([spent(10, 0.1), spent(100, 0.1)], window=1, share=0.25)
    assert has_dipped([spent(10, 0.1), spent(10, -0.1)], window=1, share=0.25)
    assert not has_dipped([spent(10, 0.1), spent(10, -0.1)], window=1, share=0.0)


def test_what_was_not_measured_is_no_dip() -> None:
    assert not has_dipped([spent(10, 0.1), spent(10, None)], window=1, share=0.25)
