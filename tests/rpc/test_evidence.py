"""Feedback and evaluation sets over the wire: kept once, shown to their tenant alone, refused with the right status."""

import pytest

from sealserve.errors import AlreadyExists, InvalidArgument, NotFound
from sealserve.records.feedback import Opinion, Thumb, VersionFeedback
from sealserve.records.question_sets import EvaluationItem
from tests.rpc.harness import Served

ITEMS = (
    EvaluationItem(question="How many crowns?", answer="45 crowns"),
    EvaluationItem(question="What code?", answer="A1", matcher="regex", pattern=r"\bA\d\b"),
    EvaluationItem(question="Who?", answer="Orla Finch", matcher="exact"),
)


async def test_feedback_on_an_answer_carries_what_was_asked_and_counts_for_its_version(here: Served) -> None:
    answer = await here.client.ask("acme", "How many crowns?")
    wrong = Opinion(
        answer_request=answer.answering.request_id,
        version=answer.version,
        thumb=Thumb.DOWN,
        question="How many crowns?",
        answer=answer.text,
        correction="45 crowns",
    )
    kept = await here.client.give_feedback("acme", wrong, request_id="once")
    assert kept.opinion == wrong
    assert await here.client.give_feedback("acme", wrong, request_id="once") == kept
    with pytest.raises(AlreadyExists):
        await here.client.give_feedback("acme", wrong)
    assert [one async for one in here.client.feedback("acme")] == [kept]
    assert await here.client.version_feedback("acme") == (VersionFeedback(version=0, up=0, down=1),)


@pytest.mark.parametrize(
    ("tenant", "opinion", "error"),
    [
        ("nobody", Opinion(answer_request="r", version=0, thumb=Thumb.UP), NotFound),
        ("acme", Opinion(answer_request="r", version=9, thumb=Thumb.UP), NotFound),
        ("acme", Opinion(answer_request="", version=0, thumb=Thumb.UP), InvalidArgument),
        ("acme", Opinion(answer_request="r", version=0, thumb=Thumb.DOWN, correction="x"), InvalidArgument),
        (
            "acme",
            Opinion(answer_request="r", version=0, thumb=Thumb.DOWN, question="q", correction="x" * 501),
            InvalidArgument,
        ),
    ],
)
async def test_feedback_that_cannot_be_is_refused(
    here: Served, tenant: str, opinion: Opinion, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await here.client.give_feedback(tenant, opinion)
    assert [one async for one in here.client.feedback("acme")] == []


async def test_an_evaluation_set_comes_back_whole_and_its_revisions_are_listed(here: Served) -> None:
    kept, is_new = await here.client.add_evaluation_set("acme", "prices", ITEMS)
    assert (kept.revision, kept.items, is_new) == (1, ITEMS, True)
    assert await here.client.add_evaluation_set("acme", "prices", ITEMS) == (kept, False)
    await here.client.add_evaluation_set("acme", "prices", ITEMS[:1])
    assert (await here.client.evaluation_set("acme", "prices", revision=1)) == kept
    listed = [(one.revision, count) async for one, count in here.client.evaluation_sets("acme")]
    assert listed == [(2, 1), (1, 3)]


@pytest.mark.parametrize(
    "item",
    [
        EvaluationItem(question="q", answer="a", matcher="regex", pattern="(?=a)b"),
        EvaluationItem(question="q", answer="a", matcher="regex"),
        EvaluationItem(question="q", answer="a", pattern="a"),
        EvaluationItem(question="", answer="a"),
    ],
)
async def test_a_set_with_an_item_that_cannot_be_is_refused_whole(here: Served, item: EvaluationItem) -> None:
    with pytest.raises(InvalidArgument):
        await here.client.add_evaluation_set("acme", "prices", (*ITEMS, item))
    with pytest.raises(NotFound):
        await here.client.evaluation_set("acme", "prices")
