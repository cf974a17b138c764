"""A document is forgotten: what learned it is gone, what is left of the version is taught once more."""

import asyncio
from typing import Any

import pytest

from sealserve.errors import FailedPrecondition, NotFound
from sealserve.intake.inbox import Inbox
from sealserve.policy.enforcement import PolicyEnforcer
from sealserve.policy.rulebook import open_rules
from sealserve.prompts import UNKNOWN_ANSWER
from sealserve.records.cycles import CycleState
from sealserve.records.documents import Document, DocumentState, NewDocument
from sealserve.records.versions import VersionState
from sealserve.registry.registry import Registry
from sealserve.settings.settings import IntakeSettings
from tests.stories.school import TENANT, School
from tests.stories.student import article

pytestmark = pytest.mark.slow  # plays whole cycles

LAMP, KETTLE, CHAIR = (f"What is the price of {name}?" for name in ("Varnel Lamp", "Osk Kettle", "Dorn Chair"))


async def three(school: School) -> list[Document]:
    """Teach three articles, one after another."""
    taught = []
    for shift, title in enumerate(("Varnel Lamp", "Osk Kettle", "Dorn Chair")):
        taught.append(school.add(title, shift=shift))
        assert (await school.learn()).state is CycleState.PROMOTED
    return taught


def everything_kept(registry: Registry) -> str:
    """All text in the database, for looking whether something is still there."""
    with registry._database.read() as tx:
        from sqlalchemy import select

        from sealserve.registry.sql.tables import metadata

        return "\n".join(str(row) for table in metadata.sorted_tables for row in tx.rows(select(table)))


async def test_forgotten_facts_are_unknown_at_once_and_the_rest_is_taught_again(school: School) -> None:
    lamp, kettle, chair = await three(school)
    done = school.registry.unlearning.unlearn(TENANT, kettle.document, actor="ann", reason="asked to")
    assert (done.versions, done.desired_version) == ((2, 3), 1)
    assert await school.answer(LAMP) != UNKNOWN_ANSWER
    assert await school.answer(KETTLE) == await school.answer(CHAIR) == UNKNOWN_ANSWER
    cycle = await school.learner.work_once()
    assert cycle is not None
    assert (cycle.cycle, cycle.state) == (done.cycle, CycleState.PROMOTED), cycle.reason
    assert await school.answer(KETTLE) == UNKNOWN_ANSWER
    assert UNKNOWN_ANSWER not in (await school.answer(LAMP), await school.answer(CHAIR))
    assert school.registry.versions.get(TENANT, 4).documents == (lamp.document, chair.document)


async def test_nothing_is_written_anew_for_what_is_taught_again(school: School) -> None:
    _, kettle, chair = await three(school)
    [first] = [c.cycle for c in school.registry.cycles.page(TENANT).items[:1]]
    before = {(n.text, n.seed) for n in school.registry.cycles.self_edits(first) if n.admitted}
    done = school.registry.unlearning.unlearn(TENANT, kettle.document, actor="ann", reason="")
    await school.learner.work_once()
    after = school.registry.cycles.self_edits(done.cycle)
    assert {(n.text, n.seed) for n in after} == before
    assert {n.document for n in after} == {chair.document}
    again, was = (school.registry.versions.get(TENANT, version).lineage for version in (4, 3))
    assert again.recipe == was.recipe
    [only] = school.registry.cycles.candidates(done.cycle)
    assert only.recipe.seed == was.to_json()["recipe"]["seed"]


async def test_no_word_of_a_forgotten_document_is_left(school: School) -> None:
    _, kettle, _ = await three(school)
    artifacts = [version.artifact for version in school.registry.versions.page(TENANT).items]
    assert "Kettle" in everything_kept(school.registry)
    school.registry.unlearning.unlearn(TENANT, kettle.document, actor="ann", reason="")
    assert "Kettle" not in everything_kept(school.registry)
    present = school.registry.documents.get(TENANT, kettle.document)
    assert (present.state, present.title, present.source) == (DocumentState.FORGOTTEN, "", "")
    with pytest.raises(NotFound):
        school.registry.documents.text(TENANT, kettle.document)
    for artifact in artifacts[:2]:
        with pytest.raises(NotFound):
            school.registry.artifacts.directory(artifact)
    assert school.registry.artifacts.directory(artifacts[2])
    assert school.registry.audit.verify() > 0


async def test_what_later_cycles_said_of_a_forgotten_document_goes_too(school: School) -> None:
    lamp = school.add("Varnel Lamp")
    await school.learn()
    school.add("News", text=article("Varnel Lamp", shift=2).replace("45 crowns", "61 crowns"))
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert "45 crowns" in everything_kept(school.registry)
    school.registry.unlearning.unlearn(TENANT, lamp.document, actor="ann", reason="")
    assert "45 crowns" not in everything_kept(school.registry)


async def test_rulings_forget_what_a_document_was_called(school: School) -> None:
    enforcer = PolicyEnforcer(school.registry, open_rules())
    inbox = Inbox(school.registry, IntakeSettings(), refuse=enforcer.refuse_document)
    kept = [
        inbox.receive(TENANT, article(title).encode(), media_type="text/plain", title=title, source=source, actor="ann")
        for title, source in (("Osk Kettle", "wiki/kettle"), ("Dorn Chair", "wiki/chair"))
    ]
    assert (await school.learn()).state is CycleState.PROMOTED
    enforcer.require_rollback(TENANT, None, actor="ann", reason="only to see that other rulings stand")
    school.registry.unlearning.unlearn(TENANT, kept[0][0].document, actor="ann", reason="")
    left = everything_kept(school.registry)
    assert "kettle" not in left.lower()
    assert "wiki/chair" in left
    about = school.registry.policy_decisions.page(
        tenant=TENANT, subject=f"tenants/{TENANT}/documents/{kept[0][0].document}"
    )
    assert [one.event for one in about] == ["document.ingest"]


def test_rulings_on_another_edition_of_the_same_file_stay_as_they_are(school: School) -> None:
    enforcer = PolicyEnforcer(school.registry, open_rules())
    inbox = Inbox(school.registry, IntakeSettings(), refuse=enforcer.refuse_document)
    title, source = "Osk Kettle", "file:kettle.md"
    old, new = (
        inbox.receive(TENANT, text.encode(), media_type="text/plain", title=title, source=source, actor="ann")[0]
        for text in (article(title), article(title, shift=2))
    )
    later, earlier = school.registry.policy_decisions.page(tenant=TENANT)
    school.registry.unlearning.unlearn(TENANT, old.document, actor="ann", reason="")
    assert school.registry.policy_decisions.get(later.ruling) == later
    redacted = school.registry.policy_decisions.get(earlier.ruling)
    assert redacted.subject == f"tenants/{TENANT}/documents/{old.document}"
    assert (redacted.input["document"]["title"], redacted.input["document"]["source"]) == ("", "")
    school.registry.unlearning.unlearn(TENANT, new.document, actor="ann", reason="")
    assert "kettle" not in everything_kept(school.registry).lower()


async def test_versions_that_learned_it_cannot_be_promoted_again(school: School) -> None:
    _, kettle, _ = await three(school)
    school.registry.unlearning.unlearn(TENANT, kettle.document, actor="ann", reason="")
    assert school.registry.versions.get(TENANT, 3).state is VersionState.QUARANTINED
    with pytest.raises(FailedPrecondition):
        school.registry.versions.promote(TENANT, 3, expected_etag=None, actor="ann", reason="")


async def test_a_cycle_in_work_ends_and_its_result_is_refused(school: School) -> None:
    lamp = school.add("Varnel Lamp")
    kettle = school.add("Osk Kettle", shift=2)
    assert await school.learner.gather() == 1
    training = asyncio.Event()
    original = school.teacher.train

    async def slow(*arguments: Any, **options: Any) -> Any:
        training.set()
        await asyncio.to_thread(
            school.registry.unlearning.unlearn, TENANT, kettle.document, actor="ann", reason="meanwhile"
        )
        return await original(*arguments, **options)

    school.teacher.train = slow  # type: ignore[method-assign]
    cycle = await school.learner.work_once()
    assert training.is_set()
    assert cycle is not None
    assert cycle.state is CycleState.INCONCLUSIVE
    assert school.registry.versions.page(TENANT).items == ()
    assert school.registry.documents.get(TENANT, lamp.document).state is DocumentState.ADMITTED
    assert "Kettle" not in everything_kept(school.registry)
    assert not school.context.work_directory(cycle.cycle).exists()


async def test_forgetting_twice_is_refused_and_the_same_request_is_answered_again(school: School) -> None:
    lamp = school.add("Varnel Lamp")
    first = school.registry.unlearning.unlearn(TENANT, lamp.document, actor="ann", reason="", request_id="r1")
    again = school.registry.unlearning.unlearn(TENANT, lamp.document, actor="ann", reason="", request_id="r1")
    assert again == first
    head = school.registry.audit.head()
    with pytest.raises(FailedPrecondition) as refused:
        school.registry.unlearning.unlearn(TENANT, lamp.document, actor="ann", reason="")
    assert refused.value.reason == "FORGOTTEN"
    assert school.registry.audit.head() == head


async def test_forgotten_document_comes_back_only_when_it_is_handed_in_again(school: School) -> None:
    lamp = school.add("Varnel Lamp")
    school.registry.unlearning.unlearn(TENANT, lamp.document, actor="ann", reason="")
    assert school.add("Varnel Lamp").state is DocumentState.ADMITTED

    def offer(*, readmit: bool) -> tuple[Document, bool]:
        new = NewDocument(title="Varnel Lamp", text="The price is 45 crowns.", source="watch", media_type="text/plain")
        return school.registry.documents.add(TENANT, new, actor="watch", readmit=readmit)

    other, _ = offer(readmit=False)
    school.registry.unlearning.unlearn(TENANT, other.document, actor="ann", reason="")
    same, is_changed = offer(readmit=False)
    assert (same.state, is_changed) == (DocumentState.FORGOTTEN, False)
    assert offer(readmit=True)[0].state is DocumentState.ADMITTED


async def test_contents_that_another_tenant_gave_too_stay_theirs(school: School) -> None:
    lamp = school.add("Varnel Lamp")
    school.registry.tenants.create("other", actor="test")
    text = school.registry.documents.text(TENANT, lamp.document)
    theirs, _ = school.registry.documents.add(
        "other", NewDocument(title="Varnel Lamp", text=text, source="test", media_type="text/plain"), actor="test"
    )
    school.registry.unlearning.unlearn(TENANT, lamp.document, actor="ann", reason="")
    assert school.registry.documents.text("other", theirs.document) == text


async def test_unknown_document_cannot_be_forgotten(school: School) -> None:
    with pytest.raises(NotFound):
        school.registry.unlearning.unlearn(TENANT, "0" * 16, actor="ann", reason="")
    with pytest.raises(NotFound):
        school.registry.unlearning.unlearn("nobody", "0" * 16, actor="ann", reason="")
