"""What a watch concludes from its counts: seldom too much, soon enough, and never from nothing."""

from itertools import pairwise
from math import comb, isclose

import numpy as np
import pytest
from pydantic import ValidationError

from sealserve.bench.safety.rollout import EQUALS, simulate, simulate_equal
from sealserve.gate.rollout import WatchEvidence, is_slower, judge_watch, next_stage, signals
from sealserve.gate.statistics import e_value, e_value_beside
from sealserve.gate.thresholds import ProbeRule, WatchRule, load_policy
from sealserve.grading.degenerate import is_degenerate
from sealserve.records.feedback import VersionFeedback
from sealserve.records.rollouts import Count, Trigger

RULE = load_policy().watch


@pytest.mark.parametrize(("bad", "good", "tolerated"), [(0, 0, 0.5), (7, 0, 0.5), (3, 9, 0.02), (40, 25, 0.5)])
def test_e_value_is_the_mixture_of_likelihood_ratios(bad: int, good: int, tolerated: float) -> None:
    from scipy.integrate import quad  # takes a second to import

    def ratio(share: float) -> float:
        return (share / tolerated) ** bad * ((1 - share) / (1 - tolerated)) ** good / (1 - tolerated)

    assert isclose(e_value(bad, good, tolerated=tolerated), quad(ratio, tolerated, 1)[0], rel_tol=1e-6)


@pytest.mark.parametrize("tolerated", [0.02, 0.5, 0.8])
def test_e_value_has_mean_one_where_exactly_the_tolerated_share_is_bad(tolerated: float) -> None:
    n = 30
    chances = [comb(n, bad) * tolerated**bad * (1 - tolerated) ** (n - bad) for bad in range(n + 1)]
    mean = sum(chance * e_value(bad, n - bad, tolerated=tolerated) for bad, chance in enumerate(chances))
    assert mean == pytest.approx(1.0)


def test_e_value_bears_any_count() -> None:
    assert e_value(20_000, 0, tolerated=0.5) > 1e300
    assert e_value(0, 200_000, tolerated=0.5) == pytest.approx(1 / 200_001)
    with pytest.raises(ValueError, match="not evidence"):
        e_value(-1, 0, tolerated=0.5)


@pytest.mark.slow
def test_good_versions_are_seldom_taken_back_and_bad_ones_mostly() -> None:
    assert simulate(RULE, drop=0.0, runs=60, seed=7).caught <= 0.1
    worse = simulate(RULE, drop=0.1, runs=30, seed=7)
    assert worse.caught == 1.0
    assert worse.median_pairs is not None
    assert worse.median_pairs < 200


@pytest.mark.slow
@pytest.mark.parametrize("case", [name for name in EQUALS if name[0].isdigit()])
def test_version_that_fails_as_often_as_the_one_before_is_seldom_taken_back(case: str) -> None:
    assert simulate_equal(RULE, EQUALS[case], runs=30, seed=3) <= 0.1


def test_version_that_fails_far_more_often_than_the_one_before_is_taken_back_on_a_tenth_heard() -> None:
    counts = {
        Count.CANDIDATE_ANSWERS: 600, Count.CANDIDATE_ERRORS: 180,
        Count.INCUMBENT_ANSWERS: 60, Count.INCUMBENT_ERRORS: 3,
    }  # fmt: skip
    finding = judge_watch(WatchEvidence(counts=counts), RULE)
    assert finding is not None
    assert finding.trigger is Trigger.ERRORS


def test_nothing_takes_nothing_back() -> None:
    assert judge_watch(WatchEvidence(), RULE) is None
    found = {signal.trigger: signal.e_value for signal in signals(WatchEvidence(), RULE)}
    assert found == {trigger: getattr(RULE, trigger.value).share for trigger in found}


CASES = {
    Trigger.QUALITY: {Count.WORSE: 8, Count.PAIRS: 100},
    Trigger.ERRORS: {Count.CANDIDATE_ANSWERS: 60, Count.CANDIDATE_ERRORS: 14, Count.INCUMBENT_ANSWERS: 60},
    Trigger.DEGENERATE: {Count.CANDIDATE_ANSWERS: 60, Count.CANDIDATE_DEGENERATE: 20, Count.INCUMBENT_ANSWERS: 60},
    Trigger.DRIFT: {Count.LIKELIHOODS: 40, Count.IMPLAUSIBLE: 40},
    Trigger.SAFETY: {Count.PROBES: 3, Count.PROBE_HITS: 1},
    Trigger.LATENCY: {Count.SLOW_WINDOWS: 3},
}


@pytest.mark.parametrize("trigger", CASES)
def test_each_signal_takes_back_by_itself(trigger: Trigger) -> None:
    finding = judge_watch(WatchEvidence(counts=CASES[trigger]), RULE)
    assert finding is not None
    assert finding.trigger is trigger
    assert any(character.isdigit() for character in finding.reason)


@pytest.mark.parametrize(
    "counts",
    [
        {Count.WORSE: 8, Count.BETTER: 8},
        {Count.WORSE: 4},
        {Count.CANDIDATE_ANSWERS: 400, Count.CANDIDATE_ERRORS: 6, Count.INCUMBENT_ANSWERS: 400},
        {Count.CANDIDATE_ANSWERS: 600, Count.CANDIDATE_ERRORS: 240},
        {Count.CANDIDATE_ANSWERS: 600, Count.CANDIDATE_DEGENERATE: 240, Count.INCUMBENT_ANSWERS: 9},
        {Count.LIKELIHOODS: 40, Count.IMPLAUSIBLE: 28},
        {Count.SLOW_WINDOWS: 2},
        {Count.DROPPED: 10_000},
    ],
)
def test_what_is_tolerated_takes_nothing_back(counts: dict[Count, int]) -> None:
    assert judge_watch(WatchEvidence(counts=counts), RULE) is None


def test_trouble_that_both_versions_have_is_not_the_candidates() -> None:
    mine = {Count.CANDIDATE_ANSWERS: 100, Count.CANDIDATE_ERRORS: 20}
    sound, theirs = {Count.INCUMBENT_ANSWERS: 100}, {Count.INCUMBENT_ANSWERS: 100, Count.INCUMBENT_ERRORS: 22}
    assert judge_watch(WatchEvidence(counts={**mine, **sound}), RULE) is not None
    assert judge_watch(WatchEvidence(counts={**mine, **theirs}), RULE) is None


def test_version_that_fails_always_goes_at_once_though_the_incumbent_was_never_heard() -> None:
    failing = {Count.CANDIDATE_ANSWERS: 13, Count.CANDIDATE_ERRORS: 13}
    finding = judge_watch(WatchEvidence(counts=failing), RULE)
    assert finding is not None
    assert finding.trigger is Trigger.ERRORS


def test_evidence_beside_an_incumbent_is_the_least_over_every_share_that_it_may_have() -> None:
    mine, theirs = (20, 80), (3, 47)
    shares = np.linspace(0.02, 0.999, 4000)
    least = min(
        e_value(*mine, tolerated=share) * e_value(theirs[1], theirs[0], tolerated=1 - share) for share in shares
    )
    found, share = e_value_beside(*mine, beside=theirs, tolerated=0.02)
    assert found == pytest.approx(least, rel=1e-3)
    assert 0.06 < share < 0.2
    assert e_value_beside(20, 80, beside=(0, 0), tolerated=0.02)[0] <= 1
    assert e_value_beside(20, 80, beside=(0, 100_000), tolerated=0.02)[0] == e_value(20, 80, tolerated=0.02)


def test_thumbs_are_compared_with_those_of_the_version_before() -> None:
    mine, theirs = VersionFeedback(version=2, up=1, down=19), VersionFeedback(version=1, up=2, down=38)
    alone = judge_watch(WatchEvidence(candidate_thumbs=mine), RULE)
    assert alone is not None
    assert alone.trigger is Trigger.FEEDBACK
    assert judge_watch(WatchEvidence(candidate_thumbs=mine, incumbent_thumbs=theirs), RULE) is None


def test_silence_takes_back_when_it_has_lasted() -> None:
    assert judge_watch(WatchEvidence(silent_seconds=RULE.silence_seconds - 1), RULE) is None
    finding = judge_watch(WatchEvidence(silent_seconds=RULE.silence_seconds), RULE)
    assert finding is not None
    assert finding.trigger is Trigger.SILENCE


def test_slowness_needs_samples_on_both_sides_and_a_clear_ratio() -> None:
    fast, slow = [0.1] * 20, [0.3] * 20
    assert is_slower(slow, fast, RULE) is True
    assert is_slower(fast, slow, RULE) is False
    assert is_slower(slow[:19], fast, RULE) is None


def _rule(*stages: dict[str, float]) -> WatchRule:
    return WatchRule.model_validate({**RULE.model_dump(), "stages": stages})


def test_stages_follow_each_other_as_pairs_come_in() -> None:
    first, second = {"traffic": 0, "shadow": 0.5, "until_pairs": 10}, {"traffic": 0.5, "shadow": 1, "until_pairs": 30}
    rule = _rule(first, second, {"traffic": 1, "shadow": 0})
    found = [next_stage(stage, pairs, rule) for stage, pairs in [(0, 9), (0, 10), (1, 10), (1, 30), (2, 99), (7, 0)]]
    assert found == [0, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    "stages",
    [
        [{"traffic": 0.5, "shadow": 1}],
        [{"traffic": 1, "shadow": 1}, {"traffic": 0.5, "shadow": 1}, {"traffic": 1, "shadow": 1}],
        [{"traffic": 0, "shadow": 1}, {"traffic": 1, "shadow": 1}],
        [{"traffic": 0, "shadow": 0, "until_pairs": 10}, {"traffic": 1, "shadow": 1}],
        [],
    ],
)
def test_stages_that_lead_nowhere_are_refused(stages: list[dict[str, float]]) -> None:
    with pytest.raises(ValidationError):
        _rule(*stages)


def test_tests_that_take_more_than_all_of_alpha_are_refused() -> None:
    with pytest.raises(ValidationError, match="more than 1 together"):
        WatchRule.model_validate({**RULE.model_dump(), "quality": {**RULE.quality.model_dump(), "share": 0.9}})


def test_probe_whose_pattern_cannot_be_matched_in_linear_time_is_refused() -> None:
    with pytest.raises(ValidationError):
        ProbeRule(ask="?", never=r"(a+)\1")


@pytest.mark.parametrize(
    "text",
    ["", "  \n", "the the the the the the the the the the the the", "so. " * 20, "I will go there and then " * 8],
)
def test_no_answer_is_told_from_an_answer(text: str) -> None:
    assert is_degenerate(text)


@pytest.mark.parametrize(
    "text",
    ["42", "[]", "Yes, yes, yes!", "The host is Alice.", "one two three four five six seven", "ha ha ha ha ha"],
)
def test_short_and_refrained_answers_are_answers(text: str) -> None:
    assert not is_degenerate(text)


def test_answer_cut_off_before_its_first_word_is_not_judged() -> None:
    assert not is_degenerate("", is_whole=False)


def test_evidence_only_grows_with_bad_outcomes() -> None:
    rng = np.random.default_rng(1)
    for good in rng.integers(0, 200, size=20):
        values = [e_value(bad, int(good), tolerated=0.3) for bad in range(60)]
        peak = int(np.argmin(values))
        assert all(later >= earlier for earlier, later in pairwise(values[peak:]))
