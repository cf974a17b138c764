"""What the registry keeps of sources, on both databases."""

from dataclasses import replace

import pytest

from sealserve.errors import AlreadyExists, InvalidArgument, NotFound, QuotaExceeded
from sealserve.records.sources import ItemState, NewSource, SourceItem, SourceKind, SyncCounts, SyncReport
from sealserve.registry.sources import GONE_DAYS
from tests.registry.world import World

SITE = NewSource(name="site", kind=SourceKind.SITEMAP, location="https://docs.example.com/sitemap.xml")
ITEM = SourceItem(
    tenant="acme", source="site", key="/a", state=ItemState.RECEIVED, superseded=("d1", "d2"), token="t", attempts=3
)


def add(world: World, new: NewSource = SITE, *, tenant: str = "acme") -> None:
    world.registry.sources.create(tenant, new, actor="ann", max_sources=3)


def test_a_source_is_found_as_it_was_made(world: World) -> None:
    made = world.registry.sources.create("acme", SITE, actor="ann", max_sources=3)
    assert world.registry.sources.get("acme", "site") == made
    assert (made.tenant, made.created_by, made.next_sync_at) == ("acme", "ann", made.created_at)
    assert world.registry.audit.rows(tenant="acme")[-1].action == "source.create"


def test_refused_sources_leave_nothing(world: World) -> None:
    add(world)
    before = (world.registry.sources.page("acme"), world.registry.audit.rows())
    with pytest.raises(AlreadyExists):
        add(world)
    with pytest.raises(InvalidArgument):
        add(world, replace(SITE, name="NO"))
    with pytest.raises(NotFound):
        add(world, tenant="nobody")
    with pytest.raises(QuotaExceeded):
        world.registry.sources.create("acme", replace(SITE, name="b"), actor="ann", max_sources=1)
    assert (world.registry.sources.page("acme"), world.registry.audit.rows()) == before


def test_an_item_is_kept_once_and_as_it_was_last(world: World) -> None:
    add(world)
    for attempts in (1, 2):
        kept = world.registry.sources.record(replace(ITEM, attempts=attempts))
    assert world.registry.sources.known("acme", "site") == {"/a": kept}
    assert world.registry.sources.item("acme", "site", "/a") == kept
    assert kept == replace(ITEM, attempts=2, checked_at=kept.checked_at)
    assert world.registry.sources.item("acme", "site", "/b") is None


@pytest.mark.parametrize("key", ["x" * 2000, "nul\0", "half \ud800", "ünïcode 漢字"])
def test_any_key_is_kept(world: World, key: str) -> None:
    add(world)
    world.registry.sources.record(replace(ITEM, key=key, reason=key))
    assert world.registry.sources.count("acme", "site") == 1


def test_due_sources_come_longest_due_first_and_only_when_they_are(world: World) -> None:
    for name in ("a", "b", "c"):
        add(world, replace(SITE, name=name))
        world.clock.advance(1.0)
    hook = NewSource(name="hook", kind=SourceKind.WEBHOOK, secret_variable="SOURCE_GLOBEX__X")
    add(world, hook, tenant="globex")
    world.registry.sources.begin("acme", "a")
    world.registry.sources.finish("acme", "a", SyncReport(counts=SyncCounts(listed=3)), next_after_seconds=60.0)
    assert [one.name for one in world.registry.sources.due(limit=5)] == ["b", "c"]
    world.clock.advance(61.0)
    assert [one.name for one in world.registry.sources.due(limit=5)] == ["b", "c", "a"]
    assert [one.name for one in world.registry.sources.due(limit=1)] == ["b"]


def test_accepted_removals_last_until_a_sync_has_done_its_work(world: World) -> None:
    add(world)
    sources = world.registry.sources
    sources.request_sync("acme", "site", accept_removals=True, actor="ann")
    accepted = []
    for report in (
        SyncReport(counts=SyncCounts(), error="away"),
        SyncReport(counts=SyncCounts(), is_partial=True),
        SyncReport(counts=SyncCounts()),
    ):
        world.clock.advance(1.0)
        accepted.append(sources.begin("acme", "site").removals_accepted)
        sources.finish("acme", "site", report, next_after_seconds=60.0)
    assert accepted == [True, True, True]
    assert not sources.get("acme", "site").removals_accepted


def test_what_left_is_shown_for_a_while_and_then_dropped(world: World) -> None:
    add(world)
    world.registry.sources.record(replace(ITEM, key="/old", state=ItemState.GONE))
    world.registry.sources.record(ITEM)
    world.clock.advance(GONE_DAYS * 86_400 + 1)
    world.registry.sources.begin("acme", "site")
    world.registry.sources.finish("acme", "site", SyncReport(counts=SyncCounts()), next_after_seconds=60.0)
    assert list(world.registry.sources.known("acme", "site")) == ["/a"]


def test_a_removed_source_takes_its_items_along_and_no_other(world: World) -> None:
    add(world)
    add(world, tenant="globex")
    world.registry.sources.record(ITEM)
    world.registry.sources.record(replace(ITEM, tenant="globex"))
    world.registry.sources.delete("acme", "site", actor="ann")
    with pytest.raises(NotFound):
        world.registry.sources.record(ITEM)
    assert world.registry.sources.known("acme", "site") == {}
    assert list(world.registry.sources.known("globex", "site")) == ["/a"]
    world.registry.sources.finish("acme", "site", SyncReport(counts=SyncCounts()), next_after_seconds=60.0)
    assert world.registry.sources.page("acme").items == ()


def test_a_delivery_is_known_once_it_was_noted(world: World) -> None:
    assert not world.registry.sources.is_delivered("acme", "hook", "sha256=1")
    world.registry.sources.note_delivery("acme", "hook", "sha256=1")
    world.registry.sources.note_delivery("acme", "hook", "sha256=1")
    assert world.registry.sources.is_delivered("acme", "hook", "sha256=1")
    assert not world.registry.sources.is_delivered("acme", "other", "sha256=1")
    assert not world.registry.sources.is_delivered("globex", "hook", "sha256=1")


def test_a_newer_version_sets_aside_only_what_waits_from_the_same_place(world: World) -> None:
    learning = world.document()
    world.registry.cycles.start("acme", trigger="test", actor="ann", max_documents=5)
    waiting, held, newest = world.document(), world.held_document(), world.document()
    assert {one.source for one in (learning, waiting, held, newest)} == {"rpc"}
    assert world.registry.documents.replace_earlier(newest, actor="ann") == (waiting.document,)
    states = {one.document: one.state.value for one in world.registry.documents.page("acme").items}
    assert states == {
        learning.document: "learning",
        waiting.document: "set_aside",
        held.document: "held",
        newest.document: "admitted",
    }
    assert world.registry.documents.replace_earlier(newest, actor="ann") == ()
