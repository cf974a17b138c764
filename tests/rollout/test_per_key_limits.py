"""How much one who asks may say in a watch."""

from collections import Counter

from sealserve.gate.rollout import WatchEvidence, judge_watch
from sealserve.gate.thresholds import load_policy
from sealserve.records.rollouts import Count
from sealserve.rollout.per_key_limits import PerKeyLimits

WATCH = ("acme", 2)
LOOP = Counter({Count.CANDIDATE_ANSWERS: 1, Count.CANDIDATE_DEGENERATE: 1})
WORSE = Counter({Count.PAIRS: 1, Count.REFERENCED: 1, Count.WORSE: 1})
SAME = Counter({Count.PAIRS: 1, Count.LIKELIHOODS: 1})
DRIFTED = Counter({Count.PAIRS: 1, Count.LIKELIHOODS: 1, Count.IMPLAUSIBLE: 1})


def heard(limits: PerKeyLimits, asker: str, *found: Counter[Count]) -> Counter[Count]:
    return sum((limits.bounded(WATCH, asker, one) for one in found), Counter[Count]())


def test_one_who_asks_decides_no_test_alone_by_the_shipped_numbers() -> None:
    rule = load_policy().watch
    limits = PerKeyLimits(rule.max_per_key)
    found = heard(limits, "mallory", *[WORSE, DRIFTED] * 100)
    assert (found[Count.WORSE], found[Count.LIKELIHOODS], found[Count.PAIRS]) == (6, 6, 200)
    assert judge_watch(WatchEvidence(counts=found), rule) is None
    found += heard(limits, "ann", WORSE, WORSE)
    assert judge_watch(WatchEvidence(counts=found), rule) is not None


def test_one_who_asks_for_endless_answers_is_one_such_answer_and_many_who_do_are_many() -> None:
    rule = load_policy().watch
    limits = PerKeyLimits(rule.max_per_key)
    found = heard(limits, "mallory", *[LOOP] * 100)
    assert (found[Count.CANDIDATE_DEGENERATE], found[Count.CANDIDATE_ANSWERS]) == (1, 100)
    assert judge_watch(WatchEvidence(counts=found), rule) is None
    many = sum((heard(PerKeyLimits(rule.max_per_key), f"ann{n}", LOOP) for n in range(14)), Counter[Count]())
    assert judge_watch(WatchEvidence(counts=many), rule) is not None


def test_pairs_that_decide_nothing_use_up_no_voice() -> None:
    limits = PerKeyLimits(2)
    assert heard(limits, "ann", *[SAME] * 9)[Count.LIKELIHOODS] == 2
    assert heard(limits, "ann", *[WORSE] * 9)[Count.WORSE] == 2


def test_without_a_key_every_pair_counts() -> None:
    assert heard(PerKeyLimits(2), "", *[WORSE] * 9)[Count.WORSE] == 9


def test_a_new_key_with_each_request_counts_as_a_new_user() -> None:
    limits = PerKeyLimits(2)
    assert sum(heard(limits, f"key {n}", WORSE)[Count.WORSE] for n in range(9)) == 9


def test_another_watch_hears_everybody_anew() -> None:
    limits = PerKeyLimits(1)
    assert heard(limits, "ann", WORSE, WORSE)[Count.WORSE] == 1
    limits.forget(WATCH)
    assert heard(limits, "ann", WORSE)[Count.WORSE] == 1
