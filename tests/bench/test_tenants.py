"""What the tenants figure counts: who starved, and whom callers ask for."""

from collections import Counter

from sealserve.bench.serving.tenants import FULL, PLACES, QUICK, _Answer, _figures, _plans


def answer(tenant: str, asked: float, began: float, *, version: int = 1, error: str = "") -> _Answer:
    return _Answer(tenant=tenant, asked=asked, began=began, version=version, error=error)


def test_tenant_starves_when_another_is_served_twice_while_it_waits_for_long() -> None:
    twice = [answer("b", 1, 2), answer("b", 3, 4)]
    assert _figures([answer("a", 0, 6), *twice]).starved == 1
    assert _figures([answer("a", 0, 4.5), *twice]).starved == 0, "it did not wait for long"
    assert _figures([answer("a", 0, 6), answer("b", 1, 2), answer("c", 3, 4)]).starved == 0, "all take turns"
    assert _figures([answer("a", 0, 6), answer("b", -1, 2), answer("b", 3, 4)]).starved == 0, "one asked before it"


def test_refusals_and_answers_of_other_versions_are_counted_apart() -> None:
    found = _figures([answer("a", 0, 1), answer("b", 0, 2, version=0), answer("c", 0, 9, error="ADAPTER_LOADING")])
    assert (found.answers, found.wrong, found.refused, found.reasons) == (2, 1, 1, {"ADAPTER_LOADING": 1})
    assert (found.ttft_p50_ms, found.ttft_p99_ms, found.longest_wait_s) == (1500.0, 2000.0, 2.0)


def test_every_part_has_as_many_callers_and_the_resident_one_leaves_nobody_to_be_loaded() -> None:
    for size in (QUICK, FULL):
        names = [f"tenant-{number}" for number in range(size.active)]
        plans = _plans(names, size)
        assert {part: sum(map(len, plan)) for part, plan in plans.items()} == dict.fromkeys(
            ("resident", "round_robin", "zipf"), size.active * size.answers
        )
        asked = {part: Counter(name for plan in plans[part] for name in plan) for part in plans}
        assert len(asked["resident"]) < PLACES
        assert set(asked["round_robin"]) == set(names)
        assert asked["zipf"].most_common(1)[0][0] in names[:3]
