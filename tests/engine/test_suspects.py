"""Who is blamed for an engine's death, and when."""

from sealserve.engine.suspects import WINDOW_SECONDS, Suspects


def test_one_death_convicts_nobody() -> None:
    assert Suspects().in_use_at_death({"a", "b"}, at_seconds=0) == frozenset()


def test_second_death_within_the_window_convicts_those_in_use_at_both() -> None:
    suspects = Suspects()
    suspects.in_use_at_death({"a", "b"}, at_seconds=0)
    assert suspects.in_use_at_death({"b", "c"}, at_seconds=WINDOW_SECONDS - 1) == {"b"}
    assert suspects.convicted == {"b"}


def test_deaths_far_apart_convict_nobody() -> None:
    suspects = Suspects()
    suspects.in_use_at_death({"a"}, at_seconds=0)
    assert suspects.in_use_at_death({"a"}, at_seconds=WINDOW_SECONDS) == frozenset()
    assert suspects.convicted == set()


def test_death_alone_convicts_at_once() -> None:
    suspects = Suspects()
    suspects.died_alone_with("a")
    assert suspects.convicted == {"a"}
