"""Where a document was studied before."""

from sealserve.records.cycles import CycleState, EarlierStudy, Step
from sealserve.records.documents import Document
from sealserve.registry.registry import AddSelfEdits, Effect
from tests.registry.world import World, finish, self_edit


def _studied(world: World, document: Document, *, state: CycleState = CycleState.REJECTED) -> str:
    """Play a cycle that writes one note on every document waiting; return its id."""
    claim = world.claim(document.tenant)
    edits = tuple(
        self_edit(claim, one.document, name=f"e{i}")
        for i, one in enumerate(world.registry.cycles.documents(claim.cycle))
    )
    world.registry.cycles.record_step(claim, Step.WRITE, {}, seconds=1, effects=[AddSelfEdits(edits=edits)])
    world.registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=1, effects=[finish(state)])
    return claim.cycle


def test_a_document_studied_again_names_the_newest_cycle_before(world: World) -> None:
    first = world.document(text="Lamps go back.")
    _studied(world, first)
    world.document(text="Lamps go back.")  # was set aside, and is offered again
    second = _studied(world, first)
    world.document(text="Lamps go back.")
    third = _studied(world, first)
    assert world.registry.history.earlier_studies(third) == (
        EarlierStudy(document=first.document, earlier_document=first.document, cycle=second),
    )


def test_an_article_of_the_same_title_counts_and_another_tenants_does_not(world: World) -> None:
    old = world.document(text="Lamps go back in 9 days.", title="Lamps")
    cycle = _studied(world, old)
    new = world.document(text="Lamps go back in 7 days.", title="Lamps")
    found = EarlierStudy(document=new.document, earlier_document=old.document, cycle=cycle)
    assert world.registry.history.earlier_studies(_studied(world, new)) == (found,)
    assert world.registry.history.earlier_studies(cycle) == ()
    world.document(text="Lamps go back in 9 days.", title="Lamps")  # its own study goes before a newer namesake's
    assert world.registry.history.earlier_studies(_studied(world, old)) == (
        EarlierStudy(document=old.document, earlier_document=old.document, cycle=cycle),
    )
    other = world.document("globex", text="Lamps go back in 5 days.", title="Lamps")
    assert world.registry.history.earlier_studies(_studied(world, other)) == ()


def test_what_was_written_on_a_document_last_is_found_whether_it_was_learned_or_not(world: World) -> None:
    first, other = world.document(text="Lamps go back."), world.document(text="Kettles stay.")
    _studied(world, first)
    world.document(text="Lamps go back.")
    second = _studied(world, first)
    found = world.registry.history.studied_self_edits("acme", [first.document])
    assert {(note.document, note.cycle) for note in found} == {(first.document, second)}
    assert world.registry.history.studied_quiz("acme", [first.document, other.document]) == ()
    assert world.registry.history.studied_self_edits("globex", [first.document]) == ()


def test_the_steps_that_taught_a_version_are_found_and_others_are_not(world: World) -> None:
    world.document(text="Lamps go back.")
    learned = world.claim()
    world.registry.cycles.record_step(learned, Step.FILTER, {"n": 1}, seconds=1)
    published: list[Effect] = [world.publish_effect(learned), finish(CycleState.PROMOTED)]
    world.registry.cycles.record_step(learned, Step.PUBLISH, {}, seconds=1, effects=published)
    world.document(text="Kettles stay.")
    refused = world.claim()
    world.registry.cycles.record_step(refused, Step.FILTER, {"n": 2}, seconds=1)
    world.registry.cycles.record_step(refused, Step.PUBLISH, {}, seconds=1, effects=[finish(CycleState.REJECTED)])
    found = world.registry.history.learned_steps("acme", 1, Step.FILTER)
    assert [(record.cycle, record.output) for record in found] == [(learned.cycle, {"n": 1})]
    assert world.registry.history.learned_steps("acme", 0, Step.FILTER) == ()
