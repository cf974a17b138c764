"""Canary suites as rows: never changed, retired but not lost, one tenant's alone; and the trend."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sealserve.errors import FailedPrecondition, InvalidArgument, NotFound
from sealserve.records.canary_suites import CanaryItem, CanaryResult
from sealserve.registry.evaluation import canary_suites
from tests.registry.world import World

ITEMS = (
    CanaryItem(item="a", prompt="How many?", answer="45", matcher="numeric", tolerance=1.0),
    CanaryItem(item="b", prompt="Which?", answer="x", matcher="choice", choices=("x", "y"), kind="format"),
)
RESULT = CanaryResult(
    tenant="acme", version=1, suite="tone", suite_version=2, n=40, share=0.9, low=0.8, high=0.95,
    gain=-0.1, gain_low=-0.2, gain_high=0.0, fell=("base",), why="", taken_at=datetime(2026, 11, 21, tzinfo=UTC),
)  # fmt: skip


@pytest.fixture
def tenant(world: World) -> str:
    world.registry.tenants.create("other", actor="test")
    return "acme"


def test_a_suite_never_changes_and_other_contents_are_a_version(world: World, tenant: str) -> None:
    registry = world.registry
    first, is_new = registry.canary_suites.put(tenant, "tone", ITEMS, actor="mia")
    assert (first.version, first.items, is_new) == (1, ITEMS, True)
    assert registry.canary_suites.put(tenant, "tone", ITEMS, actor="mia") == (first, False)
    second, is_new = registry.canary_suites.put(tenant, "tone", ITEMS[:1], actor="mia")
    assert (second.version, is_new) == (2, True)
    assert registry.canary_suites.get(tenant, "tone", version=1) == first
    assert registry.canary_suites.get(tenant, "tone") == second
    assert registry.canary_suites.live(tenant) == (second,)
    assert [one.version for one in registry.canary_suites.page(tenant).items] == [2, 1]
    assert registry.canary_suites.live("other") == ()
    with pytest.raises(NotFound):
        registry.canary_suites.get("other", "tone")
    assert [row.action for row in registry.audit.rows(tenant=tenant)][-2:] == ["canary.put"] * 2


def test_a_retired_suite_is_not_live_and_the_same_items_bring_it_back_as_a_version(world: World, tenant: str) -> None:
    registry = world.registry
    registry.canary_suites.put(tenant, "tone", ITEMS, actor="mia")
    retired = registry.canary_suites.retire(tenant, "tone", actor="mia", reason="out of date")
    assert retired.retired_at is not None
    assert registry.canary_suites.retire(tenant, "tone", actor="mia") == retired
    assert registry.canary_suites.live(tenant) == ()
    assert [row.action for row in registry.audit.rows(tenant=tenant)].count("canary.retire") == 1
    again, is_new = registry.canary_suites.put(tenant, "tone", ITEMS, actor="mia")
    assert (again.version, is_new) == (2, True)
    assert registry.canary_suites.live(tenant) == (again,)
    with pytest.raises(NotFound):
        registry.canary_suites.retire("other", "tone", actor="mia")


def test_the_same_request_is_done_once(world: World, tenant: str) -> None:
    registry = world.registry
    first, _ = registry.canary_suites.put(tenant, "tone", ITEMS, actor="mia", request_id="x")
    registry.canary_suites.put(tenant, "tone", ITEMS[:1], actor="mia")
    assert registry.canary_suites.put(tenant, "tone", ITEMS, actor="mia", request_id="x") == (first, False)
    with pytest.raises(InvalidArgument, match="other arguments"):
        registry.canary_suites.put(tenant, "tone", ITEMS[1:], actor="mia", request_id="x")
    assert registry.canary_suites.get(tenant, "tone").version == 2


@pytest.mark.parametrize(
    ("name", "items"),
    [
        ("Tone", ITEMS),
        ("canary", ITEMS),
        ("tone@1", ITEMS),
        ("tone", ()),
        ("tone", tuple(replace(ITEMS[0], item=f"i{i}", prompt=f"p{i}") for i in range(2001))),
        ("tone", (ITEMS[0], replace(ITEMS[1], item="a"))),
        ("tone", (ITEMS[0], replace(ITEMS[0], item="c", prompt=" how MANY? "))),
        ("tone", (replace(ITEMS[0], item=""),)),
        ("tone", (replace(ITEMS[0], item="a b"),)),
        ("tone", (replace(ITEMS[0], prompt=" "),)),
        ("tone", (replace(ITEMS[0], prompt="x" * 4001),)),
        ("tone", (replace(ITEMS[0], answer="x" * 501),)),
        ("tone", (replace(ITEMS[1], choices=("x", "y" * 501)),)),
        ("tone", (replace(ITEMS[0], kind="a\nb"),)),
    ],
)
def test_a_suite_that_cannot_be_is_refused_and_leaves_nothing(
    world: World, tenant: str, name: str, items: tuple[CanaryItem, ...]
) -> None:
    before = len(world.registry.audit.rows(tenant=tenant))
    with pytest.raises(InvalidArgument):
        world.registry.canary_suites.put(tenant, name, items, actor="mia")
    assert world.registry.canary_suites.page(tenant).items == ()
    assert len(world.registry.audit.rows(tenant=tenant)) == before


def test_a_tenant_has_a_bounded_number_of_live_suites(
    world: World, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary_suites, "MAX_SUITES", 1)
    world.registry.canary_suites.put(tenant, "tone", ITEMS, actor="mia")
    with pytest.raises(FailedPrecondition):
        world.registry.canary_suites.put(tenant, "style", ITEMS, actor="mia")
    world.registry.canary_suites.put(tenant, "tone", ITEMS[:1], actor="mia")
    world.registry.canary_suites.retire(tenant, "tone", actor="mia")
    assert world.registry.canary_suites.put(tenant, "style", ITEMS, actor="mia")[1]


def test_the_trend_is_one_tenants_and_newest_first(world: World, tenant: str) -> None:
    registry = world.registry
    other = replace(RESULT, suite="canary", suite_version=0, n=0, fell=(), why="the engine was away")
    registry.canary_suites.add_results([RESULT, other])
    registry.canary_suites.add_results([])
    assert registry.canary_suites.results(tenant).items == (other, RESULT)
    assert registry.canary_suites.results(tenant, suite="tone").items == (RESULT,)
    assert registry.canary_suites.results("other").items == ()
    with pytest.raises(NotFound):
        registry.canary_suites.add_results([RESULT, replace(RESULT, tenant="nobody")])
    assert len(registry.canary_suites.results(tenant).items) == 2
