"""Leases, fences and steps: what happens once, whoever crashes."""

import pytest

from sealserve.errors import Conflict, CorruptArtifact, FailedPrecondition, InvalidArgument, LeaseLost, NotFound
from sealserve.records.cycles import Claim, CycleState, Step
from sealserve.records.documents import DocumentState
from sealserve.registry.documents import document_rows
from sealserve.registry.registry import AddSelfEdits, Effect, Finish
from tests.registry.world import World, finish, self_edit


def _claimed(world: World) -> Claim:
    world.document()
    return world.claim()


def _facts(world: World, cycle: str) -> tuple[object, ...]:
    registry = world.registry
    return (
        registry.cycles.by_id(cycle), registry.cycles.steps(cycle), registry.cycles.self_edits(cycle),
        registry.tenants.get("acme"),
        registry.versions.page("acme").items, world.document_states(), registry.audit.head(),
    )  # fmt: skip


def test_nothing_open_gives_no_claim(world: World) -> None:
    assert world.registry.cycles.claim(worker="w1", lease_seconds=30) is None


def test_claimed_cycle_runs_and_is_not_given_away_while_leased(world: World) -> None:
    claim = _claimed(world)
    cycle = world.registry.cycles.by_id(claim.cycle)
    assert (cycle.state, cycle.attempts) == (CycleState.RUNNING, 1)
    world.clock.advance(29)
    assert world.registry.cycles.claim(worker="w2", lease_seconds=30) is None


def test_expired_cycle_is_taken_over_with_a_higher_fence(world: World) -> None:
    first = _claimed(world)
    world.clock.advance(30)
    second = world.claim_open(worker="w2")
    assert second.cycle == first.cycle
    assert second.fence > first.fence
    assert world.registry.cycles.by_id(first.cycle).attempts == 2


def test_fences_grow_over_all_cycles(world: World) -> None:
    fences = []
    for tenant in ("acme", "globex", "acme"):
        world.document(tenant)
        claim = world.claim(tenant)
        fences.append(claim.fence)
        world.registry.cycles.record_step(claim, Step.JUDGE, {}, seconds=1, effects=[finish(CycleState.REJECTED)])
    assert fences == sorted(set(fences))


def test_renewed_lease_keeps_others_out(world: World) -> None:
    claim = _claimed(world)
    world.clock.advance(25)
    renewed = world.registry.cycles.renew(claim, lease_seconds=30)
    world.clock.advance(25)
    assert renewed.expires_at > claim.expires_at
    assert world.registry.cycles.claim(worker="w2", lease_seconds=30) is None


def test_released_cycle_is_free_at_once(world: World) -> None:
    claim = _claimed(world)
    world.registry.cycles.release(claim)
    assert world.claim_open(worker="w2").cycle == claim.cycle


def test_old_fence_is_refused_everywhere_and_changes_nothing(world: World) -> None:
    document = world.document().document
    old = world.claim()
    publish = world.publish_effect(old)
    world.clock.advance(31)
    new = world.claim_open(worker="w2")
    before = _facts(world, old.cycle)
    effects: list[Effect] = [AddSelfEdits(edits=(self_edit(old, document),)), publish, finish(CycleState.PROMOTED)]
    with pytest.raises(LeaseLost):
        world.registry.cycles.record_step(old, Step.PUBLISH, {}, seconds=1, effects=effects)
    with pytest.raises(LeaseLost):
        world.registry.cycles.renew(old, lease_seconds=30)
    world.registry.cycles.release(old)
    assert _facts(world, old.cycle) == before
    assert world.registry.cycles.claim(worker="w3", lease_seconds=30) is None
    assert world.registry.cycles.renew(new, lease_seconds=30).fence == new.fence


def test_expired_lease_that_nobody_took_may_still_write(world: World) -> None:
    claim = _claimed(world)
    world.clock.advance(3600)
    recorded = world.registry.cycles.record_step(claim, Step.CLAIM, {"documents": 1}, seconds=0.5)
    assert world.registry.cycles.steps(claim.cycle) == (recorded,)
    assert world.registry.cycles.renew(claim, lease_seconds=30).expires_at > world.clock()


def test_step_is_recorded_once_and_its_effects_applied_once(world: World) -> None:
    claim = _claimed(world)
    effects: list[Effect] = [world.publish_effect(claim), finish(CycleState.PROMOTED)]
    first = world.registry.cycles.record_step(claim, Step.PUBLISH, {"x": 1}, seconds=2, effects=effects)
    before = _facts(world, claim.cycle)
    again = world.registry.cycles.record_step(claim, Step.PUBLISH, {"x": 2}, seconds=9, effects=effects)
    assert again == first
    assert _facts(world, claim.cycle) == before


def test_next_worker_reads_the_steps_of_the_one_before(world: World) -> None:
    first = _claimed(world)
    world.registry.cycles.record_step(first, Step.CLAIM, {"documents": ["a"]}, seconds=0.5)
    world.registry.cycles.record_step(first, Step.WRITE, {"edits": 3, "text": "ü “”", "share": 0.25}, seconds=1.5)
    world.clock.advance(31)
    second = world.claim_open(worker="w2")
    steps = world.registry.cycles.steps(second.cycle)
    assert [step.step for step in steps] == [Step.CLAIM, Step.WRITE]
    assert steps[1].output == {"edits": 3, "text": "ü “”", "share": 0.25}
    assert world.registry.cycles.by_id(second.cycle).step is Step.WRITE


def test_step_before_the_last_one_is_refused(world: World) -> None:
    claim = _claimed(world)
    world.registry.cycles.record_step(claim, Step.TRAIN, {}, seconds=1)
    with pytest.raises(FailedPrecondition):
        world.registry.cycles.record_step(claim, Step.WRITE, {}, seconds=1)
    assert [step.step for step in world.registry.cycles.steps(claim.cycle)] == [Step.TRAIN]


@pytest.mark.parametrize("output", [{"loss": float("nan")}, {"when": object()}, {"x": float("inf")}])
def test_output_that_is_not_plain_json_is_refused(world: World, output: dict[str, object]) -> None:
    claim = _claimed(world)
    with pytest.raises(InvalidArgument) as refused:
        world.registry.cycles.record_step(claim, Step.TRAIN, output, seconds=1)
    assert refused.value.field == "output"
    assert world.registry.cycles.steps(claim.cycle) == ()


def test_ended_cycle_takes_no_more_steps(world: World) -> None:
    claim = _claimed(world)
    world.registry.cycles.record_step(claim, Step.TRAIN, {}, seconds=1, effects=[finish(CycleState.FAILED)])
    with pytest.raises(FailedPrecondition):
        world.registry.cycles.record_step(claim, Step.RANK, {}, seconds=1)
    with pytest.raises(LeaseLost):
        world.registry.cycles.renew(claim, lease_seconds=30)
    assert world.registry.cycles.claim(worker="w2", lease_seconds=30) is None


def test_publishing_promotes_and_finishes_in_one_step(world: World) -> None:
    claim = _claimed(world)
    effects: list[Effect] = [finish(CycleState.PROMOTED, reason="gain 0.4"), world.publish_effect(claim)]
    world.registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=1, effects=effects)
    version = world.registry.versions.get("acme", 1)
    tenant = world.registry.tenants.get("acme")
    cycle = world.registry.cycles.by_id(claim.cycle)
    assert (tenant.desired_version, tenant.activation) == (1, 1)
    assert (cycle.state, cycle.version, cycle.reason) == (CycleState.PROMOTED, 1, "gain 0.4")
    assert version.engine_name == f"acme@v1-{version.artifact[:12]}"
    assert version.cycle == claim.cycle
    assert set(world.document_states().values()) == {DocumentState.LEARNED}
    assert [row.action for row in world.registry.audit.rows(tenant="acme", after=2)][2:] == [
        "adapter.publish", "adapter.promote", "cycle.finish"
    ]  # fmt: skip


def test_held_version_is_published_and_not_active(world: World) -> None:
    version = world.version(promote=False, held=True)
    assert version.version == 1
    assert world.registry.tenants.get("acme").desired_version == 0
    assert set(world.document_states().values()) == {DocumentState.SET_ASIDE}
    assert world.registry.cycles.page("acme").items[0].state is CycleState.HELD


def test_publish_against_a_pointer_that_moved_is_a_conflict_and_leaves_nothing(world: World) -> None:
    world.version()
    held = world.version(promote=False)
    claim = _claimed(world)
    publish = world.publish_effect(claim)
    world.registry.versions.promote("acme", held.version, expected_etag=None, actor="ann", reason="by hand")
    before = _facts(world, claim.cycle)
    with pytest.raises(Conflict):
        world.registry.cycles.record_step(
            claim, Step.PUBLISH, {}, seconds=1, effects=[publish, finish(CycleState.PROMOTED)]
        )  # fmt: skip
    assert _facts(world, claim.cycle) == before


def test_version_numbers_count_in_each_tenant(world: World) -> None:
    for tenant in ("acme", "acme", "globex"):
        world.version(tenant)
    assert [version.version for version in world.registry.versions.page("acme").items] == [2, 1]
    assert [version.version for version in world.registry.versions.page("globex").items] == [1]


def test_artifact_that_is_not_stored_is_never_published(world: World) -> None:
    claim = _claimed(world)
    publish = world.publish_effect(claim)
    before = _facts(world, claim.cycle)
    stored = world.registry.artifacts.directory(publish.artifact) / "adapter_config.json"
    stored.unlink()
    with pytest.raises(CorruptArtifact):
        world.registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=1, effects=[publish])
    assert _facts(world, claim.cycle) == before


def test_version_of_an_unknown_parent_or_document_is_refused(world: World) -> None:
    claim = _claimed(world)
    publish = world.publish_effect(claim, promote=False)
    before = _facts(world, claim.cycle)
    for changed in ({"parent": 7}, {"documents": ("0" * 16,)}):
        values = {name: getattr(publish, name) for name in publish.__slots__} | changed
        with pytest.raises(NotFound):
            world.registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=1, effects=[type(publish)(**values)])
    assert _facts(world, claim.cycle) == before


def test_failed_cycle_may_give_its_documents_another_chance(world: World) -> None:
    claim = _claimed(world)
    again = Finish(state=CycleState.INCONCLUSIVE, reason="engine was down", documents=DocumentState.ADMITTED)
    world.registry.cycles.record_step(claim, Step.CONFIRM, {}, seconds=1, effects=[again])
    assert world.registry.documents.tenants_with_admitted() == ("acme",)
    document = world.registry.documents.page("acme").items[0]
    assert document.reason == "engine was down"


@pytest.mark.parametrize("state", [DocumentState.LEARNING, DocumentState.QUARANTINED, DocumentState.WITHDRAWN])
def test_no_document_stays_behind_in_an_ended_cycle(world: World, state: DocumentState) -> None:
    claim = _claimed(world)
    ending = Finish(state=CycleState.HELD, reason="", documents=state)
    with pytest.raises(FailedPrecondition):
        world.registry.cycles.record_step(claim, Step.JUDGE, {}, seconds=1, effects=[ending])
    assert world.registry.cycles.by_id(claim.cycle).state is CycleState.RUNNING


def test_lease_by_name_has_one_holder(world: World) -> None:
    hold = world.registry.hold
    assert hold("clock", holder="a", lease_seconds=10)
    assert not hold("clock", holder="b", lease_seconds=10)
    world.clock.advance(9)
    assert hold("clock", holder="a", lease_seconds=10)
    world.clock.advance(9)
    assert not hold("clock", holder="b", lease_seconds=10)
    world.clock.advance(1)
    assert hold("clock", holder="b", lease_seconds=10)
    assert not hold("clock", holder="a", lease_seconds=10)
    assert hold("other", holder="a", lease_seconds=10)


def test_version_may_hold_more_documents_than_fit_one_statement(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_rows, "_BATCH", 2)
    for _ in range(5):
        world.document()
    version = world.version()
    assert len(version.documents) == 5
    world.registry.versions.rollback("acme", expected_etag=None, actor="ann", reason="wrong")
    assert list(world.document_states().values()) == [DocumentState.WITHDRAWN] * 5


def test_lease_of_a_dead_worker_does_not_outlast_a_clock_that_is_set_back(world: World) -> None:
    hold, claim = world.registry.hold, world.registry.cycles.claim
    world.document()
    world.registry.cycles.start("acme", trigger="schedule", actor="clock")
    assert claim(worker="w1", lease_seconds=30)
    assert hold("clock", holder="a", lease_seconds=30)
    world.clock.advance(-3600)
    assert claim(worker="w2", lease_seconds=30)
    assert hold("clock", holder="b", lease_seconds=30)
    assert not hold("clock", holder="a", lease_seconds=30)
    assert claim(worker="w1", lease_seconds=30) is None


def test_letting_go_of_a_lease_that_somebody_else_holds_changes_nothing(world: World) -> None:
    hold = world.registry.hold
    assert hold("clock", holder="a", lease_seconds=60)
    assert not hold("clock", holder="b", lease_seconds=0)
    assert not hold("clock", holder="b", lease_seconds=60)
