"""Forgetting is probed with questions that nothing but the server's memory still holds."""

from sealserve.engine.engine import BACKGROUND_PRIORITY, AdapterFiles, GenerateRequest
from sealserve.records.cycles import CycleState, Step
from sealserve.records.documents import Document
from sealserve.registry.registry import AddQuiz
from sealserve.rpc.unlearning_probe import UnlearningProbe
from tests.registry.world import finish, quiz_item
from tests.rpc.harness import Served, until


def quizzed(here: Served, *questions: str) -> Document:
    """A document that a cycle asked about and learned nothing from."""
    document = here.world.document()
    claim = here.world.claim()
    asked = AddQuiz(items=tuple(quiz_item(document.document, question=question) for question in questions))
    effects = (asked, finish(CycleState.INCONCLUSIVE))
    here.registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=0.1, effects=effects)
    return document


def probes(here: Served) -> list[dict[str, object]]:
    return [row.details for row in here.registry.audit.rows(tenant="acme") if row.action == "document.forget.probe"]


def unprobed(here: Served) -> list[dict[str, object]]:
    return [row.details for row in here.registry.audit.rows(tenant="acme") if row.action == "document.forget.unprobed"]


async def test_what_was_forgotten_is_asked_once_more_and_only_counts_are_kept(here: Served) -> None:
    document = quizzed(here, "How long do returns take?", "What does it cost?")
    here.engine.answers[None, "How long do returns take?"] = "They take 30 days."
    await here.client.forget_document("acme", document.document, reason="asked to")
    await until(lambda: bool(probes(here)))
    assert probes(here) == [{"version": 0, "n": 2, "right": 1, "base_right": 1, "above_base": 0.0}]
    assert here.registry.unlearning.quiz_on("acme", document.document) == ()


async def test_the_same_request_again_is_not_probed_again(here: Served) -> None:
    document = quizzed(here, "How long do returns take?")
    for _ in range(2):
        await here.client.forget_document("acme", document.document, reason="asked to", request_id="once")
    await until(lambda: bool(probes(here)))
    await here.server.stop()
    assert len(probes(here)) == 1


async def test_a_document_nobody_asked_about_is_forgotten_without_a_probe(here: Served) -> None:
    document = here.world.document()
    await here.client.forget_document("acme", document.document, reason="")
    await here.server.stop()
    assert probes(here) == []


async def test_a_probe_ends_with_the_server(here: Served) -> None:
    document = quizzed(here, "How long do returns take?")
    here.engine.gate.clear()  # no answer ever comes
    await here.client.forget_document("acme", document.document, reason="")
    await here.server.stop()
    assert probes(here) == []


async def test_a_probe_waits_behind_tenants_under_their_salt_and_is_no_call_of_theirs(here: Served) -> None:
    document = quizzed(here, "How long do returns take?")
    await here.client.forget_document("acme", document.document, reason="")
    await until(lambda: bool(probes(here)))
    asked = [one for one in here.engine.requests if isinstance(one, GenerateRequest)]
    assert [(one.priority, one.cache_salt) for one in asked] == [(BACKGROUND_PRIORITY, "salt of acme")] * 2
    assert here.answers.keys == []


async def test_a_version_that_is_asked_is_the_one_that_answers_once_it_is_loaded(here: Served) -> None:
    document = quizzed(here, "How long do returns take?")
    version = here.world.version()
    here.engine.answers[version.engine_name, "How long do returns take?"] = "They take 30 days."
    here.engine.answers[None, "How long do returns take?"] = "I don't know."
    await here.client.forget_document("acme", document.document, reason="")
    files = here.registry.artifacts.directory(version.artifact)
    await here.engine.load(AdapterFiles(name=version.engine_name, path=files))
    await until(lambda: bool(probes(here)))
    assert probes(here) == [{"version": 1, "n": 1, "right": 1, "base_right": 0, "above_base": 1.0}]


async def test_a_version_that_is_never_loaded_is_told_as_unmeasured(here: Served) -> None:
    here.world.version()
    kept = here.world.held_document()
    done = here.registry.unlearning.unlearn("acme", kept.document, actor="ann", reason="")
    probe = UnlearningProbe(here.registry, engine=here.engine, salt=str, poll_seconds=0.001, load_seconds=0.02)
    probe.begin(done, [quiz_item(kept.document)])
    await until(lambda: bool(unprobed(here)))
    assert unprobed(here) == [{"version": 1, "because": "version 1 was not loaded within 0.02 s"}]
    assert probes(here) == []
    await probe.close()
