"""The simulation of capacity: what must hold whatever the numbers are."""

from collections import Counter
from dataclasses import replace

import pytest

from sealserve.bench.serving.capacity import Load, Machine, fewest, home, run, simulate

MACHINE = Machine(
    places=50, slots=64, sequences=64, load_seconds=0.1, first_token_seconds=0.05, token_seconds=0.002,
    batch_seconds=0.0, base_mib=1000, adapter_mib=10,
)  # fmt: skip
LOAD = Load(tenants=40, rate=2.0, requests=2_000)


def test_resident_tenants_of_a_quiet_replica_wait_for_nothing() -> None:
    outcome = simulate(LOAD, MACHINE, replicas=1)
    assert (outcome.ttft_p50_ms, outcome.ttft_p99_ms, outcome.cold) == (50.0, 50.0, 0.0)


def test_tenants_without_a_place_wait_for_their_adapter() -> None:
    outcome = simulate(replace(LOAD, tenants=5_000, exponent=0.0), MACHINE, replicas=1)
    assert outcome.cold == pytest.approx(0.99, abs=0.01)
    assert outcome.ttft_p50_ms >= 150.0


def test_more_replicas_keep_more_adapters_resident() -> None:
    colds = [simulate(replace(LOAD, tenants=1_000), MACHINE, replicas=count).cold for count in (1, 4, 16)]
    assert colds == sorted(colds, reverse=True)
    assert colds[0] > 0.1 > colds[-1]


def test_one_slot_makes_tenants_take_turns() -> None:
    busy = replace(LOAD, rate=10.0)
    alone, shared = (simulate(busy, replace(MACHINE, slots=count), replicas=1) for count in (64, 1))
    assert shared.ttft_p99_ms > 4 * alone.ttft_p99_ms


def test_same_seed_gives_the_same_outcome() -> None:
    assert simulate(LOAD, MACHINE, replicas=2) == simulate(LOAD, MACHINE, replicas=2)


def test_tenants_are_spread_evenly_and_few_move_when_a_replica_is_added() -> None:
    before, after = [home(tenant, 8) for tenant in range(8_000)], [home(tenant, 9) for tenant in range(8_000)]
    assert max(Counter(before).values()) < 1_200
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert {new for _, new in moved} == {8}
    assert 0.08 < len(moved) / 8_000 < 0.15


def test_fewest_is_the_least_that_keeps_the_goal() -> None:
    load = replace(LOAD, tenants=1_000)
    found = fewest(load, MACHINE, goal_ms=100.0)
    assert found.ttft_p99_ms <= 100.0
    assert simulate(load, MACHINE, replicas=found.replicas - 1).ttft_p99_ms > 100.0


def test_figures_name_the_memory_of_all_replicas() -> None:
    figures = run(load=LOAD, machine=MACHINE, quick=True, say=lambda _: None)
    assert figures.replicas == {"40": 1}
    assert figures.memory_gib == {"40": round((1000 + 50 * 10) / 1024, 1)}
