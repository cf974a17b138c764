"""What the kill figure counts, and which kills it plans; the run itself needs real daemons."""

import dataclasses
import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

from sealserve.bench.reliability.kill_plan import (
    count_condemned,
    count_half_done,
    count_lost,
    count_twice,
    learn_strikes,
)
from sealserve.bench.reliability.kill_rollout import WATCH_POINTS
from sealserve.bench.reliability.kill_site import _HELD_RULES, HELD_TENANT, lenient_policy
from sealserve.fault_injection import FAULT_POINTS
from sealserve.gate.rollout import WatchEvidence, judge_watch
from sealserve.gate.thresholds import load_policy
from sealserve.packaged_policies import policy_directory
from sealserve.policy.bundle import load_bundle
from sealserve.policy.events import Event
from sealserve.records.cycles import STEPS
from sealserve.records.feedback import VersionFeedback
from sealserve.records.rollouts import WATCH_ACTOR, Count, Trigger, Watch, WatchState
from sealserve.records.versions import Activation, AdapterVersion, Lineage, VersionState

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _version(number: int, *, cycle: str) -> AdapterVersion:
    return AdapterVersion(
        tenant="a", version=number, artifact="0" * 64, engine_name=f"a@v{number}", state=VersionState.READY, reason="",
        cycle=cycle, parent=number - 1, documents=(), lineage=Lineage(), created_at=NOON,
    )  # fmt: skip


def _move(number: int, *, version: int, kind: str, actor: str = "t", reason: str = "") -> Activation:
    return Activation(
        tenant="a", activation=number, version=version, previous=0, kind=kind, actor=actor, reason=reason,
        created_at=NOON,
    )  # fmt: skip


def _watch(activation: int, *, state: WatchState) -> Watch:
    return Watch(
        tenant="a", activation=activation, version=2, incumbent=1, state=state, stage=0, trigger=None, reason="",
        counts={}, opened_at=NOON, staged_at=NOON, decided_at=None,
    )  # fmt: skip


WATCHED = [
    _move(1, version=1, kind="promote"),
    _move(2, version=2, kind="promote"),
    _move(3, version=2, kind="traffic", actor=WATCH_ACTOR, reason="stage 1 of the watch"),
    _move(4, version=2, kind="traffic", actor=WATCH_ACTOR, reason="stage 2 of the watch"),
    _move(5, version=1, kind="rollback", actor=WATCH_ACTOR, reason="feedback"),
]


def test_plan_has_both_edges_of_every_step_and_of_storing_an_adapter_then_random_moments_that_let_cycles_go_on() -> (
    None
):
    edges = 2 * len(STEPS) + 2
    plan = learn_strikes(edges + 24, rng=random.Random(0))
    first, rest = plan[:edges], plan[edges:]
    assert sum(strike.point.startswith("registry.cycles.record_step.") for strike in first) == 2 * len(STEPS)
    assert {f"artifacts.put_directory.{edge}_rename" for edge in ("before", "after")} <= {s.point for s in first}
    assert [bool(strike.seconds) for strike in rest] == [True, True, False, False] * 6


def test_plan_names_only_points_that_exist() -> None:
    assert {strike.point for strike in learn_strikes(45, rng=random.Random(0))} - {""} <= set(FAULT_POINTS)


def test_short_plan_is_cut_and_the_same_seed_gives_the_same_plan() -> None:
    assert len(learn_strikes(3, rng=random.Random(0))) == 3
    assert learn_strikes(45, rng=random.Random(7)) == learn_strikes(45, rng=random.Random(7))


def test_document_that_is_gone_or_changed_is_lost() -> None:
    acknowledged = {"d1": "one", "d2": "two", "d3": "three"}
    assert count_lost(acknowledged, {"d1": "one", "d2": "two", "d3": "three", "d4": "extra"}) == 0
    assert count_lost(acknowledged, {"d1": "one", "d2": "other"}) == 2


def test_one_version_and_one_promotion_per_cycle_is_not_twice() -> None:
    versions = [_version(1, cycle="c1"), _version(2, cycle="c2")]
    moves = [_move(number, version=number, kind="promote") for number in (1, 2)]
    assert count_twice(versions, [*moves, _move(3, version=1, kind="rollback")], asked=[]) == 0


def test_second_version_of_a_cycle_is_twice() -> None:
    assert count_twice([_version(1, cycle="c1"), _version(2, cycle="c1")], [], asked=[]) == 1


def test_promotion_again_is_twice_unless_it_was_asked_for() -> None:
    moves = [_move(number, version=1, kind="promote") for number in (1, 2, 3)]
    assert count_twice([], moves, asked=[("a", 1), ("a", 1)]) == 0
    assert count_twice([], moves, asked=[("a", 1)]) == 1
    assert count_twice([], moves, asked=[("a", 2)]) == 2


def test_watch_that_moves_once_to_each_stage_and_back_once_is_not_twice() -> None:
    assert count_twice([], WATCHED, asked=[]) == 0
    for kind, reason in (("traffic", "stage 2 of the watch"), ("rollback", "quality")):
        again = _move(6, version=1, kind=kind, actor=WATCH_ACTOR, reason=reason)
        assert count_twice([], [*WATCHED, again], asked=[]) == 1


def test_watch_and_pointer_that_do_not_go_together_are_half_done() -> None:
    went_back, is_open = _watch(2, state=WatchState.ROLLED_BACK), _watch(2, state=WatchState.OPEN)
    assert count_half_done([went_back], WATCHED, desired={"a": 1, "b": 0}) == 0
    assert count_half_done([is_open], WATCHED, desired={"a": 1}) == 1
    assert count_half_done([went_back], WATCHED[:-1], desired={"a": 2}) == 1
    assert count_half_done([went_back], WATCHED, desired={"a": 2}) == 1


def test_every_commit_of_a_watch_is_struck_before_and_after() -> None:
    assert set(WATCH_POINTS) == {point for point in FAULT_POINTS if point.startswith("registry.rollouts.")}
    assert len(WATCH_POINTS) == 2 * len(("open", "move_stage", "end", "roll_back"))


def test_short_watch_ends_on_a_few_thumbs_down_and_on_nothing_else_that_a_bad_model_does(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(lenient_policy(short_watch=True))
    rule = load_policy(tmp_path / "policy.yaml").watch
    bad = dict.fromkeys((Count.WORSE, Count.CANDIDATE_ANSWERS, Count.CANDIDATE_DEGENERATE, Count.IMPLAUSIBLE), 500)
    assert judge_watch(WatchEvidence(counts={**bad, Count.LIKELIHOODS: 500}), rule) is None
    thumbs = VersionFeedback(version=2, up=0, down=rule.feedback.min_items)
    finding = judge_watch(WatchEvidence(candidate_thumbs=thumbs), rule)
    assert finding is not None
    assert finding.trigger is Trigger.FEEDBACK


def test_the_lenient_policy_is_one_that_loads(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(lenient_policy())
    assert load_policy(tmp_path / "policy.yaml").canary.margin == 0.99


def test_the_held_tenant_waits_for_a_person_and_the_other_does_not(tmp_path: Path) -> None:
    shutil.copytree(policy_directory() / "rules", tmp_path / "rules")
    (tmp_path / "rules/tenants").mkdir(exist_ok=True)
    (tmp_path / f"rules/tenants/{HELD_TENANT}.yaml").write_text(_HELD_RULES)
    bundle = load_bundle(tmp_path)
    assert bundle.of(HELD_TENANT).variables[Event.ADAPTER_PROMOTE]["approvals"] == 1
    assert bundle.of("kills").variables[Event.ADAPTER_PROMOTE]["approvals"] == 0


def test_version_is_condemned_if_serve_quarantines_it_or_moves_away_from_it() -> None:
    bad = dataclasses.replace(_version(2, cycle="c2"), state=VersionState.QUARANTINED, documents=("d2",))
    versions = [_version(1, cycle="c1"), bad]
    assert count_condemned(versions, WATCHED, forgotten=[]) == 1
    assert count_condemned(versions, WATCHED, forgotten=[("a", "d2")]) == 0
    held = dataclasses.replace(_move(6, version=0, kind="rollback", actor="serve"), previous=1)
    assert count_condemned(versions, [*WATCHED, held], forgotten=[("a", "d2")]) == 1
