"""Which process syncs which source when, and what it does with what goes wrong."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sealserve.errors import InvalidArgument, StorageFailed
from sealserve.records.sources import ItemState, NewSource, SourceKind
from sealserve.settings.sources import SourceSettings
from sealserve.sources.connector import Connector, Fetched, ListedItem, Listing, SourceFailed, Spec, Unchanged
from sealserve.sources.kinds import spec_of
from sealserve.sources.source_runner import JITTER, SourceRunner
from tests.rpc.harness import until
from tests.sources.conftest import NEW, Shop


class OnePage:
    """A connector with one page."""

    def __init__(self, spec: Spec, *, failure: Exception | None = None) -> None:
        self.spec = spec
        self.failure = failure
        self.is_closed = threading.Event()
        self.may_fetch = threading.Event()
        self.may_fetch.set()
        self.is_fetching = threading.Event()

    def listing(self, cursor: str) -> Listing | Unchanged:
        if self.failure is not None:
            raise self.failure
        return Listing(items=(ListedItem(key="returns", token="1"), ListedItem(key="hours", token="1")))

    def fetch(self, item: ListedItem, *, validator: str) -> Fetched | Unchanged:
        self.is_fetching.set()
        while not (self.may_fetch.wait(0.05) or self.is_closed.is_set()):
            pass
        if self.is_closed.is_set():
            raise SourceFailed("it was closed")
        text = f"The page on {item.key} says that lamps cost 45 crowns."
        return Fetched(content=text.encode(), media_type="text/plain", label=f"https://docs.example.com/{item.key}")

    def close(self) -> None:
        self.is_closed.set()


def runner(shop: Shop, connect: Callable[[Spec], Connector], *, holder: str = "a", **settings: object) -> SourceRunner:
    quick = SourceSettings.model_validate({"poll_seconds": 0.01, **settings})
    return SourceRunner(shop.registry, shop.inbox, quick, holder=holder, connect=connect)


async def test_what_is_due_is_synced_and_due_again_an_interval_later(shop: Shop) -> None:
    source = shop.add()
    running = asyncio.create_task(runner(shop, OnePage).run())
    await until(lambda: shop.registry.sources.get("acme", "site").finished_at is not None)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    after = shop.registry.sources.get("acme", "site")
    assert (after.counts.received, after.error, after.failures) == (2, "", 0)
    assert after.next_sync_at is not None
    wait = (after.next_sync_at - shop.clock()).total_seconds()
    assert (1 - JITTER) * source.interval_seconds <= wait <= (1 + JITTER) * source.interval_seconds
    assert shop.registry.sources.due(limit=5) == ()


def test_failures_put_the_next_sync_off_longer_each_time(shop: Shop) -> None:
    source = shop.add()
    broken = runner(shop, lambda spec: OnePage(spec, failure=SourceFailed("no connection")))
    waits = []
    for _ in range(4):
        broken.sync(shop.registry.sources.get("acme", "site"))
        after = shop.registry.sources.get("acme", "site")
        assert after.next_sync_at is not None
        waits.append((after.next_sync_at - shop.clock()).total_seconds() / source.interval_seconds)
    assert after.error == "no connection"
    assert after.failures == 4
    for wait, expected in zip(waits, (1, 2, 4, 8), strict=True):
        assert (1 - JITTER) * expected <= wait <= (1 + JITTER) * expected


async def test_two_processes_never_sync_a_source_at_the_same_time(shop: Shop) -> None:
    source = shop.add()
    first = OnePage(Spec(kind="sitemap", name="x", location="", limits=None))  # type: ignore[arg-type]
    first.may_fetch.clear()
    slow = asyncio.create_task(asyncio.to_thread(runner(shop, lambda _: first, holder="a").sync, source))
    await until(first.is_fetching.is_set)
    made: list[Spec] = []

    def second(spec: Spec) -> Connector:
        made.append(spec)
        return OnePage(spec)

    other = runner(shop, second, holder="b")
    await asyncio.to_thread(other.sync, source)
    assert made == []
    first.may_fetch.set()
    await slow
    await asyncio.to_thread(other.sync, source)
    assert len(made) == 1


async def test_a_process_that_stops_cuts_its_sync_off_and_the_next_goes_on(shop: Shop) -> None:
    source = shop.add()
    stuck = OnePage(Spec(kind="sitemap", name="x", location="", limits=None))  # type: ignore[arg-type]
    stuck.may_fetch.clear()
    running = asyncio.create_task(runner(shop, lambda _: stuck).run())
    await until(stuck.is_fetching.is_set)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await until(stuck.is_closed.is_set)
    await until(lambda: shop.registry.sources.get("acme", "site").finished_at is not None)
    await asyncio.to_thread(runner(shop, OnePage).sync, source)
    assert set(shop.states().values()) == {ItemState.RECEIVED}


async def test_while_the_registry_is_away_the_runner_lives_on(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.add()
    looks = []

    def away(**_: object) -> None:
        looks.append(1)
        raise StorageFailed("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(shop.registry.sources, "due", away)
        running = asyncio.create_task(runner(shop, OnePage).run())
        await until(lambda: len(looks) > 2)
    await until(lambda: shop.registry.sources.get("acme", "site").finished_at is not None)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert shop.registry.sources.get("acme", "site").error == ""


def test_a_sync_asked_for_while_one_runs_follows_at_once(shop: Shop) -> None:
    source = shop.add()

    def ask(spec: Spec) -> Connector:
        shop.clock.advance(1.0)
        shop.registry.sources.request_sync("acme", "site", accept_removals=False, actor="ann")
        return OnePage(spec)

    runner(shop, ask).sync(source)
    assert [one.name for one in shop.registry.sources.due(limit=5)] == ["site"]


def test_a_source_that_is_removed_while_it_is_synced_leaves_nothing(shop: Shop) -> None:
    source = shop.add()

    def remove(spec: Spec) -> Connector:
        shop.registry.sources.delete("acme", "site", actor="ann")
        return OnePage(spec)

    runner(shop, remove).sync(source)
    assert shop.registry.sources.page("acme").items == ()
    assert shop.registry.sources.known("acme", "site") == {}


def test_a_secret_that_is_not_set_is_the_syncs_error(shop: Shop) -> None:
    source = shop.add(replace(NEW, secret_variable="SOURCE_ACME__SITE"))
    runner(shop, OnePage).sync(source)
    assert "SOURCE_ACME__SITE is not set" in shop.registry.sources.get("acme", "site").error


def test_a_secret_reaches_the_connector_and_is_kept_nowhere(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_ACME__SITE", "hush-hush")
    source = shop.add(replace(NEW, secret_variable="SOURCE_ACME__SITE"))
    seen: list[Spec] = []

    def look(spec: Spec) -> Connector:
        seen.append(spec)
        return OnePage(spec)

    runner(shop, look).sync(source)
    assert seen[0].secret == "hush-hush"
    assert "hush-hush" not in repr(shop.registry.sources.get("acme", "site"))


@pytest.mark.parametrize("location", ["../globex/x", "/etc", "a/../../globex", "link"])
def test_a_place_outside_of_the_tenants_folder_is_refused(shop: Shop, tmp_path: Path, location: str) -> None:
    (tmp_path / "shelves" / "acme").mkdir(parents=True)
    (tmp_path / "shelves" / "globex" / "x").mkdir(parents=True)
    (tmp_path / "shelves" / "acme" / "link").symlink_to("../globex")
    settings = SourceSettings(local_directory=tmp_path / "shelves")
    shelf = NewSource(name="shelf", kind=SourceKind.DIRECTORY, location=location)
    with pytest.raises(InvalidArgument, match="must lie below"):
        spec_of(shelf, "acme", settings, max_item_bytes=1)
    with pytest.raises(InvalidArgument, match=r"sources\.local_directory"):
        spec_of(shelf, "acme", SourceSettings(), max_item_bytes=1)


def test_a_real_folder_is_synced_by_a_process_of_its_own(shop: Shop, tmp_path: Path) -> None:
    import os

    shelf = tmp_path / "shelves" / "acme" / "shelf"
    shelf.mkdir(parents=True)
    (shelf / "a.md").write_text("# Returns\n\nLamps may be returned for 30 days.")
    os.utime(shelf / "a.md", (1_700_000_000, 1_700_000_000))
    source = shop.add(NewSource(name="shelf", kind=SourceKind.DIRECTORY, location="shelf"))
    settings = SourceSettings(local_directory=tmp_path / "shelves")
    SourceRunner(shop.registry, shop.inbox, settings, holder="a").sync(source)
    after = shop.registry.sources.get("acme", "shelf")
    assert (after.error, after.counts.received) == ("", 1)
    assert shop.document_of("a.md", name="shelf").source == "directory:shelf/a.md"
