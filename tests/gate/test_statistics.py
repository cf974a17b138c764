"""Intervals against published and analytic values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealserve.gate.intervals import wilson
from sealserve.gate.statistics import (
    Outcome,
    bootstrap_mean,
    compare,
    compare_graded,
    gain_shown,
    holm,
    judge_loss,
    loss_excluded,
    loss_shown,
)


def paired(both: int, better: int, worse: int, neither: int) -> tuple[list[bool], list[bool]]:
    candidate = [True] * (both + better) + [False] * (worse + neither)
    incumbent = [True] * both + [False] * better + [True] * worse + [False] * neither
    return candidate, incumbent


def test_wilson_matches_newcombes_published_example() -> None:
    assert wilson(81, 263, confidence=0.95) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_wilson_stays_inside_zero_and_one_at_the_ends() -> None:
    assert wilson(0, 20, confidence=0.95) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(20, 20, confidence=0.95) == pytest.approx((0.8389, 1.0), abs=1e-4)


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError):
        wilson(0, 0, confidence=0.95)


def test_paired_interval_matches_newcombes_table() -> None:
    score = compare(*paired(36, 12, 2, 0), confidence=0.95)
    assert (score.gain_low, score.gain_high) == pytest.approx((0.0569, 0.3404), abs=2e-3)


def test_all_right_against_none_right_is_a_certain_gain() -> None:
    score = compare([True] * 12, [False] * 12, confidence=0.95)
    assert score.gain == 1.0
    assert 0.6 < score.gain_low < 0.8


def test_no_difference_has_an_interval_around_zero() -> None:
    score = compare([True, False] * 20, [True, False] * 20, confidence=0.95)
    assert score.gain == 0.0
    assert score.gain_low < 0.0 < score.gain_high


def test_unpaired_answers_are_refused() -> None:
    with pytest.raises(ValueError):
        compare([True], [True, False], confidence=0.95)
    with pytest.raises(ValueError):
        compare([], [], confidence=0.95)


def test_mcnemar_counts_only_discordant_pairs() -> None:
    assert gain_shown(0, 0) == 1.0
    assert gain_shown(8, 0) == pytest.approx(0.5**8)


def test_bootstrap_is_repeatable_and_holds_the_mean() -> None:
    values = [0.1, 0.4, 0.9, -0.3, 0.7, 0.2]
    first = bootstrap_mean(values, confidence=0.9, seed=7)
    assert first == bootstrap_mean(values, confidence=0.9, seed=7)
    assert first[0] < sum(values) / len(values) < first[1]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_the_interval_always_holds_the_gain(pairs: list[tuple[bool, bool]]) -> None:
    score = compare([mine for mine, _ in pairs], [theirs for _, theirs in pairs], confidence=0.95)
    assert -1.0 <= score.gain_low <= score.gain + 1e-12
    assert score.gain - 1e-12 <= score.gain_high <= 1.0


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_swapping_the_sides_mirrors_the_interval(pairs: list[tuple[bool, bool]]) -> None:
    mine, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    score, mirrored = compare(mine, theirs, confidence=0.95), compare(theirs, mine, confidence=0.95)
    assert (score.gain_low, score.gain_high) == pytest.approx((-mirrored.gain_high, -mirrored.gain_low), abs=1e-9)


def test_mcnemar_matches_published_values() -> None:
    assert 2 * gain_shown(12, 2) == pytest.approx(0.01294, abs=1e-5)  # Newcombe 1998: airway and mood example
    assert gain_shown(2, 12) > 0.99


def test_tangos_score_matches_his_published_example() -> None:
    assert loss_excluded(0, 1, n=44, margin=0.1) == pytest.approx(0.0438, abs=1e-4)  # soft lenses, Z = 1.709


def test_a_loss_is_never_both_excluded_and_shown() -> None:
    for worse in range(60):
        excluded = loss_excluded(3, worse, n=200, margin=0.05)
        shown = loss_shown(3, worse, n=200, margin=0.05)
        assert excluded + shown == pytest.approx(1.0)


def test_counts_that_are_no_pairs_are_refused() -> None:
    for better, worse, n in ((-1, 0, 10), (6, 6, 10), (0, 11, 10)):
        with pytest.raises(ValueError, match="not a paired comparison"):
            loss_excluded(better, worse, n=n, margin=0.05)


def test_holm_matches_his_step_down() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([]) == ()
    assert max(holm([0.9, 0.8])) == 1.0


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_makes_a_p_value_smaller_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    places = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [adjusted[i] for i in places] == sorted(adjusted)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
def test_graded_gains_lie_in_their_interval(pairs: list[tuple[float, float]]) -> None:
    score = compare_graded([a for a, _ in pairs], [b for _, b in pairs], confidence=0.9, seed=1, rounds=200)
    assert score.gain == pytest.approx(score.candidate - score.incumbent)
    assert score.better + score.worse <= score.n


def test_what_is_not_a_number_passes_nothing() -> None:
    nan = float("nan")
    assert judge_loss(excluded_p=nan, shown_p=nan, alpha=0.05) is Outcome.INCONCLUSIVE
    assert judge_loss(excluded_p=0.001, shown_p=0.9, alpha=0.05) is Outcome.PASS
    assert judge_loss(excluded_p=0.9, shown_p=0.001, alpha=0.05) is Outcome.FAIL


def test_equal_grades_have_no_spread_whatever_rounding_makes_of_it() -> None:
    score = compare_graded([0.1, 0.1, 0.4], [0.1, 0.1, 0.2], confidence=0.95, seed=1)
    assert -1 <= score.gain_low <= score.gain <= score.gain_high <= 1


def test_questions_on_one_fact_are_no_more_evidence_than_the_fact() -> None:
    alone = compare([True] * 12, [False] * 12, confidence=0.95)
    shared = compare([True] * 12, [False] * 12, confidence=0.95, facts=[place // 4 for place in range(12)])
    assert (shared.n, shared.better, shared.gain) == (alone.n, alone.better, alone.gain)
    assert (shared.facts, shared.facts_better, shared.facts_worse) == (3, 3, 0)
    assert shared.gain_low < alone.gain_low
    assert gain_shown(shared.independent.better, shared.independent.worse) == 0.125


def test_facts_with_one_question_each_change_nothing() -> None:
    mine, theirs = [True, False, True, True], [False, False, True, False]
    assert compare(mine, theirs, confidence=0.95, facts=list("abcd")) == compare(mine, theirs, confidence=0.95)


def test_a_fact_counts_by_the_sign_of_its_mean_difference() -> None:
    mine, theirs = [True, True, False, True, False, False], [False, False, True, False, True, False]
    score = compare(mine, theirs, confidence=0.95, facts=list("aaabbc"))
    assert (score.facts, score.facts_better, score.facts_worse) == (3, 1, 0)
    assert score == compare(mine, theirs, confidence=0.95, facts=list("aaabbc"))
