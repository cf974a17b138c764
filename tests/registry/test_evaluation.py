"""What candidates are measured by: kept measurements, feedback and evaluation sets."""

import pytest

from sealserve.errors import AlreadyExists, InvalidArgument, NotFound
from sealserve.records.feedback import Opinion, Thumb, VersionFeedback
from sealserve.records.question_sets import EvaluationItem
from sealserve.registry.evaluation import score_cache
from tests.registry.world import World

GOOD = Opinion(answer_request="r1", version=0, thumb=Thumb.UP)
BAD = Opinion(
    answer_request="r2", version=0, thumb=Thumb.DOWN, question="What is it?", answer="One", correction="It is two"
)
ITEMS = (EvaluationItem(question="How many?", answer="45"), EvaluationItem(question="Who?", answer="Orla Finch"))


@pytest.fixture
def tenant(world: World) -> str:
    world.registry.tenants.create("other", actor="test")
    return "acme"


def test_a_measurement_is_kept_once_and_for_one_tenant_alone(world: World, tenant: str) -> None:
    registry = world.registry
    assert registry.scores.get(tenant, "a" * 64) is None
    registry.scores.keep(tenant, "a" * 64, (0.5, 1.0))
    registry.scores.keep(tenant, "a" * 64, (9.0,))
    assert registry.scores.get(tenant, "a" * 64) == (0.5, 1.0)
    assert registry.scores.get("other", "a" * 64) is None


def test_the_oldest_measurements_make_room(world: World, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_cache, "MAX_KEPT", 2)
    for key in "abc":
        world.registry.scores.keep(tenant, key * 64, (1.0,))
    assert [world.registry.scores.get(tenant, key * 64) for key in "abc"] == [None, (1.0,), (1.0,)]


def test_feedback_is_kept_once_for_each_answer_and_counts_for_its_version(world: World, tenant: str) -> None:
    registry = world.registry
    kept = registry.feedback.add(tenant, GOOD, actor="mia", request_id="x")
    assert registry.feedback.add(tenant, GOOD, actor="mia", request_id="x") == kept
    registry.feedback.add(tenant, BAD, actor="mia")
    with pytest.raises(AlreadyExists):
        registry.feedback.add(tenant, GOOD, actor="mia")
    with pytest.raises(InvalidArgument, match="other arguments"):
        registry.feedback.add(tenant, BAD, actor="mia", request_id="x")
    page = registry.feedback.page(tenant, page_size=1)
    assert [one.opinion for one in page.items] == [BAD]
    assert [one.opinion for one in registry.feedback.page(tenant, page_token=page.next_page_token).items] == [GOOD]
    assert [one.opinion for one in registry.feedback.corrections(tenant)] == [BAD]
    assert registry.feedback.by_version(tenant) == (VersionFeedback(version=0, up=1, down=1),)
    assert registry.feedback.page("other").items == ()
    assert [row.action for row in registry.audit.rows(tenant=tenant)][-2:] == ["feedback.create"] * 2


@pytest.mark.parametrize(
    ("opinion", "error"),
    [
        (Opinion(answer_request="", version=0, thumb=Thumb.UP), InvalidArgument),
        (Opinion(answer_request="r", version=7, thumb=Thumb.UP), NotFound),
        (Opinion(answer_request="r", version=0, thumb=Thumb.DOWN, correction="two"), InvalidArgument),
        (Opinion(answer_request="r", version=0, thumb=Thumb.UP, question="q", correction="two"), InvalidArgument),
        (Opinion(answer_request="r", version=0, thumb=Thumb.UP, question="q" * 2001), InvalidArgument),
        (Opinion(answer_request="r" * 129, version=0, thumb=Thumb.UP), InvalidArgument),
    ],
)
def test_feedback_that_cannot_be_is_refused_and_leaves_nothing(
    world: World, tenant: str, opinion: Opinion, error: type[Exception]
) -> None:
    before = len(world.registry.audit.rows(tenant=tenant))
    with pytest.raises(error):
        world.registry.feedback.add(tenant, opinion, actor="mia")
    assert world.registry.feedback.page(tenant).items == ()
    assert len(world.registry.audit.rows(tenant=tenant)) == before


def test_feedback_of_a_tenant_that_is_none_is_not_found(world: World, tenant: str) -> None:
    with pytest.raises(NotFound):
        world.registry.feedback.add("nobody", GOOD, actor="mia")


def test_an_evaluation_set_never_changes_and_other_contents_are_a_revision(world: World, tenant: str) -> None:
    registry = world.registry
    first, is_new = registry.question_sets.add(tenant, "prices", ITEMS, actor="mia")
    assert (first.revision, first.items, is_new) == (1, ITEMS, True)
    assert registry.question_sets.add(tenant, "prices", ITEMS, actor="mia") == (first, False)
    second, is_new = registry.question_sets.add(tenant, "prices", ITEMS[:1], actor="mia")
    assert (second.revision, is_new) == (2, True)
    assert registry.question_sets.get(tenant, "prices", revision=1) == first
    assert registry.question_sets.get(tenant, "prices") == second
    assert registry.question_sets.newest(tenant) == (second,)
    assert [one.revision for one in registry.question_sets.page(tenant).items] == [2, 1]
    assert registry.question_sets.newest("other") == ()
    with pytest.raises(NotFound):
        registry.question_sets.get("other", "prices")


@pytest.mark.parametrize(
    ("name", "items"),
    [
        ("Prices", ITEMS),
        ("prices", ()),
        ("prices", (ITEMS[0], ITEMS[0])),
        ("prices", (EvaluationItem(question=" ", answer="a"),)),
        ("prices", (EvaluationItem(question="q", answer=""),)),
        ("prices", (EvaluationItem(question="q", answer="a" * 501),)),
    ],
)
def test_a_set_that_cannot_be_is_refused(
    world: World, tenant: str, name: str, items: tuple[EvaluationItem, ...]
) -> None:
    with pytest.raises(InvalidArgument):
        world.registry.question_sets.add(tenant, name, items, actor="mia")
    assert world.registry.question_sets.page(tenant).items == ()
