"""Versions, the pointer and cycles over the wire."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from sealserve import errors
from sealserve.client import Client, calls
from sealserve.engine.engine import AdapterFiles
from sealserve.engine.preflight import CONFIG_FILE
from sealserve.records.cycles import CycleState, Step
from sealserve.records.documents import DocumentState
from sealserve.records.score_json import scorecard_json, verdict_json
from sealserve.records.scores import Decision, Measured, NotApplicable, Scorecard, Unmeasured, Verdict
from sealserve.records.step_outputs import Confirmed, Judged, Ranked, RankScore, Trained, Written, to_json
from sealserve.records.versions import Lineage, Observed, VersionState
from sealserve.registry.registry import AddCandidates, AddSelfEdits, Effect
from sealserve.v1 import adapter_pb2
from tests.fakes import BASE_DIGEST
from tests.registry.world import candidate, finish, self_edit
from tests.rpc.harness import ADMIN_SECRET, Served

CARD = Scorecard(
    confirm=Measured(n=40, candidate=0.9, incumbent=0.1, gain=0.8, gain_low=0.6, gain_high=0.9, better=32, worse=0),
    replay=NotApplicable(because="nothing learned before"),
    canary=Unmeasured(why="the engine went away"),
    unknown=Measured(n=10, candidate=1.0, incumbent=1.0, gain=0.0, gain_low=-0.1, gain_high=0.1, better=0, worse=0),
)
VERDICT = Verdict(
    decision=Decision.HOLD, reasons=("canary was not measured",), policy="default", policy_digest="d" * 64
)


async def test_promotion_moves_the_pointer_and_rollback_moves_it_back(here: Served) -> None:
    here.world.version(promote=False)
    moved = await here.client.promote("acme", 1, reason="looks good")
    assert (moved.version, moved.previous, moved.kind, moved.reason) == (1, 0, "promote", "looks good")
    assert (await here.client.tenant("acme")).desired_version == 1
    back = await here.client.rollback("acme")
    assert (back.version, back.previous, back.kind) == (0, 1, "rollback")
    assert [one.activation async for one in here.client.activations("acme")] == [2, 1]


async def test_listing_shows_what_is_loaded_here_and_what_stays_loaded(here: Served, tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).touch()
    made = [here.world.version("acme"), here.world.version("globex"), here.world.version("globex")]
    for version in made:
        await here.engine.load(AdapterFiles(name=version.engine_name, path=tmp_path))
    await here.engine.unload(made[1].engine_name)

    async def shown(tenant: str) -> list[tuple[int, bool, bool]]:
        return [(one.version, one.is_loaded, one.stays_loaded) async for one in here.client.adapters(tenant)]

    assert await shown("acme") == [(1, True, False)]
    assert await shown("globex") == [(2, True, True), (1, False, False)]
    assert (await here.client.adapter("acme", 1)).is_loaded


async def test_same_request_id_twice_moves_the_pointer_once(here: Served) -> None:
    here.world.version(promote=False)
    first = await here.client.promote("acme", 1, request_id="once")
    assert await here.client.promote("acme", 1, request_id="once") == first
    assert (await here.client.tenant("acme")).activation == 1


async def test_request_id_used_for_something_else_is_refused(here: Served) -> None:
    here.world.version(promote=False)
    await here.client.promote("acme", 1, request_id="once")
    with pytest.raises(errors.InvalidArgument) as refused:
        await here.client.promote("acme", 1, request_id="once", reason="another")
    assert refused.value.field == "request_id"


async def test_stale_etag_is_a_conflict_and_moves_nothing(here: Served) -> None:
    here.world.version(promote=False)
    stale = (await here.client.tenant("acme")).etag
    await here.client.promote("acme", 1, etag=stale)
    with pytest.raises(errors.Conflict):
        await here.client.rollback("acme", etag=stale)
    assert (await here.client.tenant("acme")).desired_version == 1


async def test_promoting_what_is_active_or_missing_or_the_base_is_refused(here: Served) -> None:
    here.world.version()
    with pytest.raises(errors.FailedPrecondition) as active:
        await here.client.promote("acme", 1)
    assert active.value.reason == "ALREADY_ACTIVE"
    with pytest.raises(errors.NotFound):
        await here.client.promote("acme", 9)
    with pytest.raises(errors.InvalidArgument):
        await here.client.promote("acme", 0)
    with pytest.raises(errors.NotFound):
        await here.client.promote("globex", 1)


async def test_rolling_back_to_anothers_version_is_refused_by_name(here: Served) -> None:
    call = calls.adapters.rollback("acme", to_version=1, etag="", reason="", request_id="")
    assert isinstance(call.request, adapter_pb2.RollbackAdapterRequest)
    call.request.to_adapter = "tenants/globex/adapters/v1"
    with pytest.raises(errors.InvalidArgument) as refused:
        await here.client._unary(call)
    assert refused.value.field == "to_adapter"


async def test_version_carries_its_lineage(here: Served) -> None:
    document = here.world.document(text="The office closes at five.")
    claim = here.world.claim()
    publish = here.world.publish_effect(claim, promote=False)
    lineage = Lineage(
        recipe={"rank": 8, "learning_rate": 0.003, "templates": ["qa"]},
        self_edits=("e1",),
        scores=scorecard_json(CARD),
        verdict=verdict_json(VERDICT),
        base_digest=BASE_DIGEST,
        settings_digest="c" * 64,
    )
    publish = replace(publish, lineage=lineage)
    effects: list[Effect] = [
        AddSelfEdits(edits=(self_edit(claim, document.document),)),
        publish,
        finish(CycleState.HELD),
    ]
    here.registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=1, effects=effects)
    version = await here.client.adapter("acme", 1)
    assert version.lineage == lineage
    assert version == here.registry.versions.get("acme", 1)
    assert [found async for found in here.client.adapters("acme")] == [version]


async def test_base_model_is_version_zero_of_every_tenant(here: Served) -> None:
    base = await here.client.adapter("acme", 0)
    assert (base.version, base.state, base.lineage.base_digest) == (0, VersionState.READY, BASE_DIGEST)


async def test_watch_tells_the_state_now_and_after_every_change(here: Served) -> None:
    here.world.version(promote=False)
    here.registry.replicas.announce("r1", identity="r1", address="")
    async with aclosing(here.client.watch_adapters("acme")) as reports:
        assert (await anext(reports)).desired == 0
        await here.client.promote("acme", 1)
        assert (await anext(reports)).desired == 1
        owner = here.registry.tenants.get("acme")
        seen = Observed(replica="r1", tenant="acme", version=1, activation=1, observed_at=owner.created_at)
        here.registry.versions.record_observed(seen)
        report = await anext(reports)
    assert report.observed == (seen,)
    assert report.has_reached(1)


async def test_waiting_until_observed_ends_when_it_is_or_when_time_is_up(here: Served) -> None:
    with pytest.raises(errors.DeadlineExceeded):
        await here.client.wait_until_observed("acme", 1, timeout_seconds=0.2)
    owner = here.registry.tenants.get("acme")
    here.registry.replicas.announce("r1", identity="r1", address="")
    seen = Observed(replica="r1", tenant="acme", version=1, activation=1, observed_at=owner.created_at)
    here.registry.versions.record_observed(seen)
    assert (await here.client.wait_until_observed("acme", 1)).observed == (seen,)
    with Client(here.address, token=ADMIN_SECRET) as client:
        assert (await asyncio.to_thread(client.wait_until_observed, "acme", 1)).observed == (seen,)


async def test_watching_a_stranger_is_not_found(here: Served) -> None:
    with pytest.raises(errors.NotFound):
        await anext(here.client.watch_adapters("nobody"))


async def test_cycle_is_shown_with_steps_candidates_scores_and_verdict(here: Served) -> None:
    document = here.world.document(text="The office closes at five.")
    started = await here.client.start_cycle("acme", request_id="go")
    assert (started.cycle.state, started.documents) == (CycleState.PENDING, (document.document,))
    assert (await here.client.start_cycle("acme", request_id="go")).cycle.cycle == started.cycle.cycle
    claim = here.world.claim_open()
    edits = tuple(self_edit(claim, document.document, name=f"e{n}", admitted=n != 2) for n in range(3))
    record = here.registry.cycles.record_step
    written = Written(quiz=(), directives=(), retention=())
    record(claim, Step.WRITE, to_json(written), seconds=1.5, effects=[AddSelfEdits(edits=edits)])
    artifact = here.world.artifact()
    both = AddCandidates(candidates=tuple(candidate(claim, index, artifact=artifact) for index in (0, 1)))
    trained = Trained(candidates=(0, 1), directives=(), settings_digest="")
    record(claim, Step.TRAIN, to_json(trained), seconds=2, effects=[both])
    scores = tuple(
        RankScore(index=index, rank_score=score, low=None, high=None, n=0, why="")
        for index, score in enumerate((None, 0.7))
    )
    record(claim, Step.RANK, to_json(Ranked(scores=scores, winner=1)), seconds=2)
    record(claim, Step.CONFIRM, to_json(Confirmed(scorecard=CARD)), seconds=2)
    record(claim, Step.JUDGE, to_json(Judged(verdict=VERDICT)), seconds=2)

    report = await here.client.cycle("acme", started.cycle.cycle)
    assert [step.step for step in report.steps] == [Step.WRITE, Step.TRAIN, Step.RANK, Step.CONFIRM, Step.JUDGE]
    assert [(one.rank_score, one.winner) for one in report.candidates] == [(None, False), (0.7, True)]
    assert report.candidates[0].recipe["rank"] == 8
    assert (report.scores, report.verdict) == (CARD, VERDICT)
    assert tuple([edit async for edit in here.client.self_edits("acme", started.cycle.cycle)]) == edits
    assert [one.cycle.cycle async for one in here.client.cycles("acme")] == [started.cycle.cycle]


async def test_watching_a_cycle_ends_with_it(here: Served) -> None:
    here.world.document()
    started = await here.client.start_cycle("acme")
    async with aclosing(here.client.watch_cycle("acme", started.cycle.cycle)) as reports:
        assert (await anext(reports)).cycle.state is CycleState.PENDING
        claim = here.world.claim_open()
        here.registry.cycles.record_step(
            claim, Step.PUBLISH, {}, seconds=1, effects=[finish(CycleState.REJECTED, reason="no gain")]
        )
        last = [report async for report in reports][-1]
    assert (last.cycle.state, last.cycle.reason) == (CycleState.REJECTED, "no gain")


async def test_cycle_without_documents_or_beside_another_is_refused(here: Served) -> None:
    with pytest.raises(errors.FailedPrecondition):
        await here.client.start_cycle("acme")
    here.world.document()
    await here.client.start_cycle("acme")
    here.world.document()
    with pytest.raises(errors.FailedPrecondition):
        await here.client.start_cycle("acme")
    assert set(here.world.document_states().values()) == {DocumentState.LEARNING, DocumentState.ADMITTED}


async def test_anothers_cycle_does_not_exist(here: Served) -> None:
    here.world.document()
    started = await here.client.start_cycle("acme")
    with pytest.raises(errors.NotFound):
        await here.client.cycle("globex", started.cycle.cycle)
    with pytest.raises(errors.NotFound):
        _ = [edit async for edit in here.client.self_edits("globex", started.cycle.cycle)]
