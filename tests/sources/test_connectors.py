"""One suite that every kind of source passes, over real servers on loopback."""

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sealserve.records.sources import SourceKind
from sealserve.sources.child import ChildConnector
from sealserve.sources.connector import (
    Connector,
    Fetched,
    ItemGone,
    ItemRefused,
    Listing,
    SourceFailed,
    Spec,
    Unchanged,
    advised,
)
from sealserve.sources.kinds import open_connector
from tests.sources.places import KINDS, LIMITS, GitPlace, Place, partial_git_server, place_of, with_limits
from tests.sources.web_site import Page, web_site


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with place_of(request.param, tmp_path) as made:
        yield made


def listed(connector: Connector, cursor: str = "") -> Listing:
    found = connector.listing(cursor)
    assert isinstance(found, Listing)
    return found


def texts(connector: Connector) -> dict[str, str]:
    """The content of every item, by its key."""
    found: dict[str, str] = {}
    for item in listed(connector).items:
        fetched = connector.fetch(item, validator="")
        assert isinstance(fetched, Fetched)
        found[item.key] = fetched.content.decode()
    return found


def test_items_are_listed_and_fetched_whole(place: Place) -> None:
    place.put("returns", "Lamps may be returned for 30 days.")
    place.put("hours", "The shop opens at nine & closes at five.")
    connector = open_connector(place.spec)
    found = list(texts(connector).values())
    connector.close()
    assert len(found) == 2
    assert sum("30 days" in text for text in found) == 1
    assert sum("opens at nine" in text for text in found) == 1


def test_what_has_not_changed_is_known_without_its_content(place: Place) -> None:
    place.put("returns", "Lamps may be returned for 30 days.")
    connector = open_connector(place.spec)
    first = listed(connector)
    fetched = connector.fetch(first.items[0], validator="")
    connector.close()
    assert isinstance(fetched, Fetched)
    again = open_connector(place.spec)
    second = again.listing(first.cursor)
    if isinstance(second, Listing):
        item = second.items[0]
        assert item.key == first.items[0].key
        same_token = bool(item.token) and item.token == first.items[0].token
        assert same_token or isinstance(again.fetch(item, validator=fetched.validator), Unchanged)
    again.close()


def test_a_change_is_seen_under_the_same_key(place: Place) -> None:
    place.put("returns", "Lamps may be returned for 30 days.")
    place.put("hours", "The shop opens at nine.")
    connector = open_connector(place.spec)
    first = listed(connector)
    held = {item.key: connector.fetch(item, validator="") for item in first.items}
    connector.close()
    place.put("returns", "Lamps may be returned for 45 days, with a receipt.")
    again = open_connector(place.spec)
    tokens = {item.key: item.token for item in first.items}
    changed = []
    for item in listed(again, first.cursor).items:
        before = held[item.key]
        assert isinstance(before, Fetched)
        if item.token and item.token == tokens[item.key]:
            continue
        fetched = again.fetch(item, validator=before.validator)
        if isinstance(fetched, Fetched) and fetched.content != before.content:
            changed.append(fetched.content.decode())
    again.close()
    assert len(changed) == 1
    assert "45 days" in changed[0]


def test_what_was_taken_away_is_not_listed(place: Place) -> None:
    place.put("returns", "Lamps may be returned for 30 days.")
    place.put("hours", "The shop opens at nine.")
    connector = open_connector(place.spec)
    first = listed(connector)
    place.remove("hours")
    again = open_connector(place.spec)
    left = listed(again, first.cursor)
    assert left.fault == ""
    assert len(left.items) == 1
    (gone,) = [item for item in first.items if item.key != left.items[0].key]
    if place.says_what_left and place.spec.kind != "sitemap":
        with pytest.raises(ItemGone):
            again.fetch(gone, validator="")
    connector.close()
    again.close()


def test_an_item_that_is_too_large_is_refused_and_others_are_not(place: Place) -> None:
    place.put("returns", "Lamps may be returned for 30 days.")
    place.put("long", "long " * 2000)
    connector = open_connector(with_limits(place.spec, max_item_bytes=4000))
    outcomes = []
    for item in listed(connector).items:
        try:
            outcomes.append(type(connector.fetch(item, validator="")).__name__)
        except ItemRefused as refused:
            outcomes.append(refused.reason)
    connector.close()
    assert sorted(outcomes) == ["Fetched", "TOO_LARGE"]


def test_a_listing_that_is_too_long_says_so(place: Place) -> None:
    for name in ("a", "bb", "ccc"):
        place.put(name, f"Item {name}.")
    connector = open_connector(with_limits(place.spec, max_items=2))
    found = listed(connector)
    connector.close()
    assert len(found.items) <= 2
    assert "more than 2" in found.fault


@pytest.mark.slow  # starts processes
def test_a_process_of_its_own_reads_it_as_well(place: Place) -> None:
    place.put("returns", "Lamps may be returned for 30 days.")
    connector = ChildConnector(place.spec)
    try:
        (text,) = texts(connector).values()
    finally:
        connector.close()
    assert "30 days" in text


needs_git = pytest.mark.skipif(not shutil.which("git"), reason="git itself is the server")


@needs_git
def test_of_a_repository_only_files_that_are_asked_for_are_fetched(tmp_path: Path) -> None:
    place = GitPlace(tmp_path / "wiki")
    noise = random.Random(1)
    (place.root / "film.bin").write_bytes(noise.randbytes(500_000))
    place._commit("film.bin")
    for number in range(40):
        place.put(f"page{number:02}", f"Page {number}: {noise.randbytes(3000).hex()}")
    with partial_git_server(place.root) as (address, sizes):
        spec = with_limits(replace(place.spec, location=address), max_total_bytes=450_000, max_items=50)
        connector = open_connector(spec)
        found = texts(connector)
        connector.close()
        assert len(found) == 40
        assert sum(sizes) < 450_000
        sizes.clear()
        place.put("page07", "Page 7 is new.")
        again = open_connector(spec)
        changed = next(item for item in listed(again).items if item.key == "docs/page07.md")
        fetched = again.fetch(changed, validator="")
        again.close()
    assert isinstance(fetched, Fetched)
    assert fetched.content == b"Page 7 is new."
    assert sum(sizes) < 20_000


@needs_git
def test_file_of_a_repository_that_is_too_large_is_refused_before_it_is_all_there(tmp_path: Path) -> None:
    place = GitPlace(tmp_path / "wiki")
    place.put("huge", random.Random(2).randbytes(300_000).hex())
    place.put("small", "Lamps may be returned for 30 days.")
    with partial_git_server(place.root) as (address, _):
        connector = open_connector(replace(place.spec, location=address))
        items = {item.key: item for item in listed(connector).items}
        with pytest.raises(ItemRefused):
            connector.fetch(items["docs/huge.md"], validator="")
        fetched = connector.fetch(items["docs/small.md"], validator="")
        connector.close()
    assert isinstance(fetched, Fetched)
    assert fetched.content == b"Lamps may be returned for 30 days."


@pytest.mark.parametrize(
    ("kind", "path", "advice"),
    [
        (SourceKind.FEED, "/page", "give the address of the feed itself"),
        (SourceKind.SITEMAP, "/page", "give the address of the sitemap itself"),
        (SourceKind.GIT, "/page", "give the address that `git clone` takes"),
        (SourceKind.FEED, "/none", "if it has moved, add the source anew"),
        (SourceKind.SITEMAP, "/denied", "set the variable that --secret names"),
        (SourceKind.GIT, "/denied", "set the variable that --secret names"),
        (SourceKind.FEED, "/busy", "sync less often"),
        (SourceKind.SITEMAP, "/broken", "the next sync tries again"),
        (SourceKind.SITEMAP, "/around", "its final address"),
    ],
)
def test_error_of_a_site_says_what_to_do(kind: SourceKind, path: str, advice: str) -> None:
    with web_site() as site:
        for suffix in ("", "/info/refs?service=git-upload-pack"):
            site.put(f"/page{suffix}", "<html><body><p>I am a page.</p></body></html>")
            site.pages |= {f"{name}{suffix}": Page(status=status) for name, status in
                           (("/denied", 401), ("/busy", 429), ("/broken", 503))}  # fmt: skip
        site.redirect("/around", "/around")
        connector = open_connector(Spec(kind=kind, name="x", location=f"{site.address}{path}", limits=LIMITS))
        with pytest.raises(SourceFailed) as failed:
            connector.listing("")
        connector.close()
    assert advice in advised(failed.value)


@pytest.mark.parametrize(
    ("kind", "location", "advice"),
    [
        (SourceKind.FEED, "http://127.0.0.1:1/feed", "check that it runs"),
        (SourceKind.FEED, "http://no-such-host.invalid/feed", "check the spelling of the host"),
        (SourceKind.FEED, "http://[::1/feed", "add it with another location"),
        (SourceKind.DIRECTORY, "none", "below sources.local_directory"),
        (SourceKind.EXPORT, "none", "below sources.local_directory"),
        (SourceKind.EXPORT, "bad.zip", "copy the whole .zip file anew"),
        (SourceKind.GIT, "none", "give the folder that holds .git"),
        (SourceKind.OBJECTS, "s3://b/p?endpoint=http://127.0.0.1:1", "check bucket, region and endpoint"),
    ],
)
def test_error_of_a_place_says_what_to_do(tmp_path: Path, kind: SourceKind, location: str, advice: str) -> None:
    (tmp_path / "bad.zip").write_bytes(b"PK\3\4 and no more")
    place = location if "://" in location else str(tmp_path / location)
    spec = Spec(kind=kind, name="x", location=place, secret="key:secret", limits=LIMITS)
    with pytest.raises(SourceFailed) as failed:
        open_connector(spec).listing("")
    assert advice in advised(failed.value)
