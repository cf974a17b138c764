"""Forgetting is probed with questions that nothing but the server's memory still holds."""

from sealserve.records import CycleState, Document, Step
from sealserve.registry.registry import AddQuiz
from tests.registry.world import finish, quiz_item
from tests.rpc.harness import Served, until


def quizzed(here: Served, *questions: str) -> Document:
    """A document that a cycle asked about and learned nothing from."""
    document = here.world.document()
    claim = here.world.claim()
    asked = AddQuiz(items=tuple(quiz_item(document.document, question=question) for question in questions))
    effects = (asked, finish(CycleState.INCONCLUSIVE))
    here.registry.record_step(claim, Step.PUBLISH, {}, seconds=0.1, effects=effects)
    return document


def probes(here: Served) -> list[dict[str, object]]:
    return [row.details for row in here.registry.audit_rows(tenant="acme") if row.action == "document.forget.probe"]


async def test_what_was_forgotten_is_asked_once_more_and_only_counts_are_kept(here: Served) -> None:
    document = quizzed(here, "How long do returns take?", "What does it cost?")
    here.engine.answers[None, "How long do returns take?"] = "They take 30 days."
    await here.client.forget_document("acme", document.document, reason="asked to")
    await until(lambda: bool(probes(here)))
    assert probes(here) == [{"version": 0, "n": 2, "right": 1, "base_right": 1, "above_base": 0.0}]
    assert here.registry.quiz_on("acme", document.document) == ()


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
    here.answers.version = 7  # never the one that should answer
    await here.client.forget_document("acme", document.document, reason="")
    await here.server.stop()
    assert probes(here) == []
