"""Opening cycles, and reading back what their steps left."""

import pytest

from sealserve.errors import FailedPrecondition, InvalidArgument, NotFound
from sealserve.records.cycles import CycleState, Step
from sealserve.records.documents import DocumentState
from sealserve.registry.registry import AddCandidates, AddQuiz, AddSelfEdits, Effect
from tests.registry.world import World, candidate, finish, quiz_item, self_edit


def test_cycle_takes_the_oldest_admitted_documents(world: World) -> None:
    names = [world.document().document for _ in range(3)]
    cycle = world.registry.cycles.start("acme", trigger="rpc", actor="ann", max_documents=2)
    assert (cycle.state, cycle.step, cycle.attempts, cycle.version) == (CycleState.PENDING, None, 0, None)
    assert [document.document for document in world.registry.cycles.documents(cycle.cycle)] == names[:2]
    states = world.document_states()
    assert [states[name] for name in names] == ["learning", "learning", "admitted"]


def test_cycle_without_documents_is_refused(world: World) -> None:
    with pytest.raises(FailedPrecondition) as refused:
        world.registry.cycles.start("acme", trigger="rpc", actor="ann")
    assert refused.value.reason == "NOTHING_TO_LEARN"
    assert world.registry.cycles.page("acme").items == ()


def test_tenant_has_one_open_cycle(world: World) -> None:
    world.document()
    cycle = world.registry.cycles.start("acme", trigger="rpc", actor="ann")
    later = world.document()
    with pytest.raises(FailedPrecondition) as refused:
        world.registry.cycles.start("acme", trigger="rpc", actor="ann")
    assert refused.value.reason == "CYCLE_OPEN"
    assert world.registry.cycles.page("acme").items == (cycle,)
    assert world.document_states()[later.document] is DocumentState.ADMITTED


def test_two_tenants_may_learn_at_once(world: World) -> None:
    for tenant in ("acme", "globex"):
        world.document(tenant)
        cycle = world.registry.cycles.start(tenant, trigger="schedule", actor="clock")
        assert cycle.state is CycleState.PENDING


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_absurd_document_limit_is_refused(world: World, limit: int) -> None:
    world.document()
    with pytest.raises(InvalidArgument) as refused:
        world.registry.cycles.start("acme", trigger="rpc", actor="ann", max_documents=limit)
    assert refused.value.field == "max_documents"


def test_same_request_id_opens_one_cycle(world: World) -> None:
    world.document()
    first = world.registry.cycles.start("acme", trigger="rpc", actor="ann", request_id="r1")
    head = world.registry.audit.head()
    assert world.registry.cycles.start("acme", trigger="rpc", actor="ann", request_id="r1") == first
    assert world.registry.audit.head() == head
    with pytest.raises(InvalidArgument):
        world.registry.cycles.start("acme", trigger="rpc", actor="ann", request_id="r1", max_documents=2)


def test_request_ids_of_two_tenants_do_not_meet(world: World) -> None:
    for tenant in ("acme", "globex"):
        world.document(tenant)
        cycle = world.registry.cycles.start(tenant, trigger="rpc", actor="ann", request_id="r1")
        assert cycle.tenant == tenant


def test_cycle_of_another_tenant_is_not_found(world: World) -> None:
    world.document()
    cycle = world.registry.cycles.start("acme", trigger="rpc", actor="ann")
    with pytest.raises(NotFound):
        world.registry.cycles.get("globex", cycle.cycle)
    assert world.registry.cycles.by_id(cycle.cycle) == world.registry.cycles.get("acme", cycle.cycle)


def test_unknown_cycle_is_not_found(world: World) -> None:
    reads = (
        world.registry.cycles.steps,
        world.registry.cycles.self_edits,
        world.registry.cycles.quiz,
        world.registry.cycles.candidates,
    )
    for read in (*reads, world.registry.cycles.documents, world.registry.cycles.by_id):
        with pytest.raises(NotFound):
            read("0" * 20)


def test_cycles_are_listed_newest_first(world: World) -> None:
    for _ in range(3):
        world.version()
    page = world.registry.cycles.page("acme", page_size=2)
    rest = world.registry.cycles.page("acme", page_size=2, page_token=page.next_page_token)
    assert [cycle.version for cycle in (*page.items, *rest.items)] == [3, 2, 1]


def test_effects_are_read_back_as_they_were_written(world: World) -> None:
    document = world.document().document
    claim = world.claim()
    edits = (self_edit(claim, document), self_edit(claim, document, name="e2", text="zwei\n“2”", admitted=False))
    items = (quiz_item(document), quiz_item(document, question="Where?"))
    tried = tuple(candidate(claim, index, artifact=world.artifact()) for index in (1, 0))
    effects: list[Effect] = [AddSelfEdits(edits=edits), AddQuiz(items=items), AddCandidates(candidates=tried)]
    world.registry.cycles.record_step(claim, Step.WRITE, {"n": 2}, seconds=1.5, effects=effects)
    assert world.registry.cycles.self_edits(claim.cycle) == edits
    assert world.registry.cycles.quiz(claim.cycle) == items
    assert world.registry.cycles.candidates(claim.cycle) == tried[::-1]


def test_later_step_replaces_what_an_earlier_one_wrote_in_place(world: World) -> None:
    document = world.document().document
    claim = world.claim()
    first = tuple(self_edit(claim, document, name=name) for name in ("e1", "e2"))
    dropped = self_edit(claim, document, name="e1", admitted=False)
    world.registry.cycles.record_step(claim, Step.WRITE, {}, seconds=1, effects=[AddSelfEdits(edits=first)])
    world.registry.cycles.record_step(claim, Step.FILTER, {}, seconds=1, effects=[AddSelfEdits(edits=(dropped,))])
    assert world.registry.cycles.self_edits(claim.cycle) == (dropped, first[1])


def test_text_that_no_database_can_keep_is_made_storable(world: World) -> None:
    document = world.document().document
    claim = world.claim()
    edit = self_edit(claim, document, text="a\0b\udc80c")
    world.registry.cycles.record_step(claim, Step.WRITE, {}, seconds=1, effects=[AddSelfEdits(edits=(edit,))])
    assert world.registry.cycles.self_edits(claim.cycle)[0].text == "a\ufffdb\ufffdc"


def test_effect_for_a_document_outside_the_cycle_is_refused_whole(world: World) -> None:
    document = world.document().document
    claim = world.claim()
    stranger = world.document("globex").document
    effects: list[Effect] = [AddSelfEdits(edits=(self_edit(claim, document),)), AddQuiz(items=(quiz_item(stranger),))]
    with pytest.raises(InvalidArgument):
        world.registry.cycles.record_step(claim, Step.WRITE, {}, seconds=1, effects=effects)
    assert world.registry.cycles.steps(claim.cycle) == ()
    assert world.registry.cycles.self_edits(claim.cycle) == ()


def test_candidate_whose_loss_is_not_finite_is_refused(world: World) -> None:
    world.document()
    claim = world.claim()
    bad = AddCandidates(candidates=(candidate(claim, 0, final_loss=float("nan")),))
    with pytest.raises(InvalidArgument):
        world.registry.cycles.record_step(claim, Step.TRAIN, {}, seconds=1, effects=[bad])
    assert world.registry.cycles.candidates(claim.cycle) == ()


def test_replay_draws_from_what_the_version_holds_and_from_nothing_newer(world: World) -> None:
    first = world.document(text="First article.").document
    claim = world.claim()
    _learn(world, first, name="old")
    second = world.document(text="Second article.").document
    world.claim()
    _learn(world, second, name="second")
    assert [edit.self_edit for edit in world.registry.history.learned_self_edits("acme", 1)] == ["old"]
    assert [edit.self_edit for edit in world.registry.history.learned_self_edits("acme", 2)] == ["old", "second"]
    assert [item.question for item in world.registry.history.learned_quiz("acme", 2)] == ["old?", "second?"]
    assert world.registry.history.learned_self_edits("acme", 0) == ()
    assert claim.tenant == "acme"


def test_document_learned_again_is_replayed_from_its_newest_self_edits(world: World) -> None:
    name = world.document(text="Learned twice.").document
    world.claim()
    _learn(world, name, name="old")
    world.registry.versions.rollback("acme", expected_etag=None, actor="ann", reason="again")
    world.document(text="Learned twice.")
    world.claim()
    _learn(world, name, name="new")
    assert [edit.self_edit for edit in world.registry.history.learned_self_edits("acme", 2)] == ["new"]
    assert [edit.self_edit for edit in world.registry.history.learned_self_edits("acme", 1)] == ["old"]


def test_dropped_self_edits_are_never_replayed(world: World) -> None:
    document = world.document().document
    world.claim()
    _learn(world, document, name="bad", admitted=False)
    assert world.registry.history.learned_self_edits("acme", 1) == ()


def _learn(world: World, document: str, *, name: str, admitted: bool = True) -> None:
    open_cycle = world.registry.cycles.page("acme").items[0]
    world.clock.advance(31)
    claim = world.claim_open()
    assert claim.cycle == open_cycle.cycle
    effects: list[Effect] = [
        AddSelfEdits(edits=(self_edit(claim, document, name=name, admitted=admitted),)),
        AddQuiz(items=(quiz_item(document, question=f"{name}?"),)),
        world.publish_effect(claim),
        finish(CycleState.PROMOTED),
    ]
    world.registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=1, effects=effects)
