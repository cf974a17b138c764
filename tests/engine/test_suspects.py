"""Who is blamed for an engine's death, and when."""

from sealserve.engine.suspects import LONGEST_STEP_SECONDS, WINDOW_SECONDS, Patience, Suspects


def test_one_death_suspends_nobody() -> None:
    assert Suspects().in_use_at_death({"a", "b"}, at_seconds=0) == frozenset()


def test_second_death_within_the_window_suspends_those_in_use_at_both_and_convicts_nobody() -> None:
    suspects = Suspects()
    suspects.in_use_at_death({"a", "b"}, at_seconds=0)
    assert suspects.in_use_at_death({"b", "c"}, at_seconds=WINDOW_SECONDS - 1) == {"b"}
    assert suspects.convicted == set()


def test_deaths_far_apart_suspend_nobody() -> None:
    suspects = Suspects()
    suspects.in_use_at_death({"a"}, at_seconds=0)
    assert suspects.in_use_at_death({"a"}, at_seconds=WINDOW_SECONDS) == frozenset()
    assert suspects.convicted == set()


def test_death_alone_convicts_at_once() -> None:
    suspects = Suspects()
    suspects.died_alone_with("a")
    assert suspects.convicted == {"a"}


def test_deaths_are_forgotten_once_an_adapter_was_tried_alone() -> None:
    suspects = Suspects()
    suspects.in_use_at_death({"a"}, at_seconds=0)
    suspects.clear("a")
    assert suspects.in_use_at_death({"a"}, at_seconds=1) == frozenset()


def test_engine_of_slow_steps_may_stand_still_for_longer() -> None:
    patience = Patience(30)
    assert patience.seconds(slowest_step_seconds=1, at_seconds=0) == 30
    assert patience.seconds(slowest_step_seconds=20, at_seconds=0) == 100
    assert patience.seconds(slowest_step_seconds=90, at_seconds=0) == LONGEST_STEP_SECONDS


def test_each_hang_within_ten_minutes_doubles_the_patience_with_the_next() -> None:
    patience = Patience(30)
    for number in range(8):
        wanted = min(30 * 2**number, LONGEST_STEP_SECONDS)
        assert patience.seconds(slowest_step_seconds=0, at_seconds=number) == wanted
        patience.hung(at_seconds=number)
    assert patience.seconds(slowest_step_seconds=0, at_seconds=WINDOW_SECONDS + 8) == 30


def test_limit_that_is_configured_higher_stays() -> None:
    assert Patience(900).seconds(slowest_step_seconds=0, at_seconds=0) == 900
