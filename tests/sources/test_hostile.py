"""What a hostile source sends costs its own item, or its own listing, and ends in an error that says what it was."""

import gzip
import io
import json
import os
import socket
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from sealserve.records.sources import SourceKind
from sealserve.sources import addresses
from sealserve.sources.addresses import is_public, resolve
from sealserve.sources.child import ChildConnector
from sealserve.sources.connector import (
    Fetched,
    ItemFailed,
    ItemNotFetched,
    ItemRefused,
    ListedItem,
    Listing,
    SourceFailed,
    Spec,
    Unchanged,
)
from sealserve.sources.kinds import open_connector
from sealserve.sources.web_client import WebClient
from tests.sources.places import LIMITS, GitPlace, S3Place, s3_server, with_limits
from tests.sources.web_site import WebSite, web_site


@pytest.fixture
def site() -> Iterator[WebSite]:
    with web_site() as made:
        yield made


LONG_AGO = (1_700_000_000, 1_700_000_000)


def spec(kind: SourceKind, location: str, **limits: object) -> Spec:
    return with_limits(Spec(kind=kind.value, name="hostile", location=location, limits=LIMITS), **limits)


def listing_of(chosen: Spec) -> Listing:
    connector = open_connector(chosen)
    try:
        found = connector.listing("")
    finally:
        connector.close()
    assert isinstance(found, Listing)
    return found


def fails(chosen: Spec) -> str:
    """The reason why the source cannot be listed."""
    connector = open_connector(chosen)
    try:
        with pytest.raises(SourceFailed) as failed:
            connector.listing("")
    finally:
        connector.close()
    return failed.value.reason


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
        "::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::",
        "ff02::1", "::",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"])
def test_a_public_address_is_let_through(address: str) -> None:
    assert is_public(ip_address(address))


def test_a_name_with_one_private_address_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(2, 1, 6, "", ("93.184.216.34", 80)), (2, 1, 6, "", ("10.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(SourceFailed, match=r"10\.0\.0\.1"):
        resolve("docs.example.com", 80, allow_private=False)


def test_the_connection_goes_to_the_address_that_was_checked(site: WebSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that has another address at every look (DNS rebinding) is looked up once."""
    port = int(site.address.rpartition(":")[2])
    looks: list[str] = []

    def first_answer_only(host: str, port: int, *_: Any, **__: Any) -> Any:
        if host != "127.0.0.1":  # what was checked is a number, and needs no look
            looks.append(host)
        return [(2, 1, 6, "", ("127.0.0.1" if len(looks) == 1 else "127.0.0.2", port))]

    site.put("/page", "hello")
    monkeypatch.setattr(socket, "getaddrinfo", first_answer_only)
    client = WebClient(LIMITS)
    response = client.get(f"http://docs.example.com:{port}/page", max_bytes=100)
    client.close()
    assert (response.body, looks) == (b"hello", ["docs.example.com"])
    assert site.seen[0]["host"] == f"docs.example.com:{port}"


@pytest.mark.parametrize("kind", [SourceKind.FEED, SourceKind.SITEMAP])
def test_loopback_is_refused_unless_it_is_allowed(site: WebSite, kind: SourceKind) -> None:
    assert fails(spec(kind, f"{site.address}/feed", allow_private_addresses=False)) == "PRIVATE_ADDRESS"
    assert site.asked == []


def test_a_git_repository_and_a_bucket_at_a_private_address_are_refused(site: WebSite) -> None:
    assert fails(spec(SourceKind.GIT, f"{site.address}/wiki", allow_private_addresses=False)) == "PRIVATE_ADDRESS"
    bucket = spec(SourceKind.OBJECTS, f"s3://docs/?endpoint={site.address}", allow_private_addresses=False)
    with pytest.raises(SourceFailed, match="not a public address"):
        open_connector(bucket)
    assert site.asked == []


def test_a_redirect_to_the_metadata_service_is_not_followed(site: WebSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site.redirect("/feed", "http://169.254.169.254/latest/meta-data/")
    monkeypatch.setattr(addresses, "is_public", lambda address: str(address) == "127.0.0.1")
    assert fails(spec(SourceKind.FEED, f"{site.address}/feed", allow_private_addresses=False)) == "PRIVATE_ADDRESS"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.com/x", "http://", "gopher://x/", "//"])
def test_a_redirect_to_something_else_than_the_web_is_not_followed(site: WebSite, target: str) -> None:
    site.redirect("/feed", target)
    assert fails(spec(SourceKind.FEED, f"{site.address}/feed")) in ("BAD_ADDRESS", "NO_CONNECTION", "REDIRECTS")


def test_redirects_in_a_circle_end(site: WebSite) -> None:
    site.redirect("/feed", "/other")
    site.redirect("/other", "/feed")
    assert fails(spec(SourceKind.FEED, f"{site.address}/feed")) == "REDIRECTS"
    assert len(site.asked) == LIMITS.max_redirects + 1


def test_credentials_go_to_their_own_host_only(site: WebSite) -> None:
    with web_site() as other:
        other.put("/feed", "<rss version='2.0'><channel><title>x</title></channel></rss>")
        site.redirect("/feed", f"{other.address}/feed")
        secret = Spec(
            kind=SourceKind.FEED, name="x", location=f"{site.address}/feed", limits=LIMITS, secret="ann:password"
        )
        listing_of(secret)
        assert site.seen[0]["authorization"].startswith("Basic ")
        assert "authorization" not in other.seen[0]


def test_an_endless_body_is_cut_off(site: WebSite) -> None:
    site.put("/feed", "", endless=True)
    assert fails(spec(SourceKind.FEED, f"{site.address}/feed")) == "TOO_LARGE"


def test_a_gzip_bomb_is_never_unpacked_whole(site: WebSite) -> None:
    bomb = gzip.compress(b"<rss>" + b" " * 50_000_000)
    site.put("/feed", bomb, headers={"Content-Encoding": "gzip"})
    assert fails(spec(SourceKind.FEED, f"{site.address}/feed")) == "TOO_LARGE"
    site.put("/map.xml.gz", bomb)
    assert fails(spec(SourceKind.SITEMAP, f"{site.address}/map.xml.gz")) == "TOO_LARGE"


def test_an_encoding_that_was_not_asked_for_is_refused(site: WebSite) -> None:
    site.put("/feed", b"\x1b\x00", headers={"Content-Encoding": "br"})
    assert fails(spec(SourceKind.FEED, f"{site.address}/feed")) == "ENCODING"


@pytest.mark.parametrize("body", ["<html><body>Back soon.</body></html>", "Back soon.", ""])
def test_page_that_is_no_sitemap_does_not_empty_the_site(site: WebSite, body: str) -> None:
    site.put("/map.xml", body)
    assert fails(spec(SourceKind.SITEMAP, f"{site.address}/map.xml")) == "NO_SITEMAP"


def test_bad_address_in_a_sitemap_or_a_redirect_costs_nothing_else(site: WebSite) -> None:
    places = "".join(
        f"<url><loc>{place}</loc></url>" for place in ("https://[::1/x", f"{site.address}/good", "http:///")
    )
    site.put("/map.xml", f"<urlset>{places}</urlset>")
    (found,) = listing_of(spec(SourceKind.SITEMAP, f"{site.address}/map.xml")).items
    assert found.key == f"{site.address}/good"
    site.redirect("/around", "https://[::1/x")
    assert fails(spec(SourceKind.SITEMAP, f"{site.address}/around")) == "REDIRECTS"


LAUGHS = (
    "<!DOCTYPE x [<!ENTITY a 'ha'>"
    + "".join(f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(9))
    + "]>"
)


def test_an_xml_bomb_does_not_go_off(site: WebSite) -> None:
    site.put("/map.xml", f"{LAUGHS}<urlset><url><loc>&j;</loc></url></urlset>")
    assert fails(spec(SourceKind.SITEMAP, f"{site.address}/map.xml")) == "NO_SITEMAP"
    item = "<item><guid isPermaLink='false'>a</guid><description>&j;</description></item>"
    site.put("/feed", f"{LAUGHS}<rss version='2.0'><channel>{item}</channel></rss>")
    (found,) = listing_of(spec(SourceKind.FEED, f"{site.address}/feed")).items
    assert found.key == "a"


def test_an_external_entity_is_not_read(site: WebSite) -> None:
    site.put("/secret", "secret")
    bad = f"<!DOCTYPE x [<!ENTITY e SYSTEM '{site.address}/secret'>]><urlset><url><loc>&e;</loc></url></urlset>"
    site.put("/map.xml", bad)
    assert fails(spec(SourceKind.SITEMAP, f"{site.address}/map.xml")) == "NO_SITEMAP"
    assert "/secret" not in site.asked


def test_a_feed_of_very_many_items_is_too_large_or_cut(site: WebSite) -> None:
    items = "".join(f"<item><guid>{n}</guid></item>" for n in range(2_000))
    site.put("/feed", f"<rss version='2.0'><channel>{items}</channel></rss>")
    found = listing_of(spec(SourceKind.FEED, f"{site.address}/feed"))
    assert len(found.items) == LIMITS.max_items
    assert "more than 50 entries" in found.fault
    site.put("/feed", b"<rss version='2.0'><channel>" + b"<item><guid>1</guid></item>" * 1_000_000)
    assert fails(spec(SourceKind.FEED, f"{site.address}/feed")) == "TOO_LARGE"


def test_entries_that_share_a_link_have_labels_of_their_own(site: WebSite) -> None:
    """Documents of one label are versions of each other."""
    entry = "<item><guid>{}</guid><link>https://x.example.com/changes</link><description>{}</description></item>"
    site.put(
        "/feed", f"<rss version='2.0'><channel>{entry.format('v1', 'One')}{entry.format('v2', 'Two')}</channel></rss>"
    )
    connector = open_connector(spec(SourceKind.FEED, f"{site.address}/feed"))
    found = connector.listing("")
    assert isinstance(found, Listing)
    fetched = [connector.fetch(item, validator="") for item in found.items]
    labels = {one.label for one in fetched if isinstance(one, Fetched)}
    connector.close()
    assert len(labels) == 2
    assert all(label.startswith("https://x.example.com/changes#") for label in labels)


def test_pages_that_a_feed_links_to_are_asked_for_changes_though_the_feed_has_none(site: WebSite) -> None:
    site.put("/feed", f"<rss version='2.0'><channel><item><link>{site.address}/page</link></item></channel></rss>")
    site.put("/page", "<p>First words.</p>")
    chosen = replace(spec(SourceKind.FEED, f"{site.address}/feed"), linked_pages=True)
    connector = open_connector(chosen)
    first = connector.listing("")
    assert isinstance(first, Listing)
    page = connector.fetch(first.items[0], validator="")
    assert isinstance(page, Fetched)
    assert (page.content, page.label) == (b"<p>First words.</p>", f"{site.address}/page")
    again = connector.listing(first.cursor)
    assert isinstance(again, Listing)
    assert (again.items[0].token, connector.fetch(again.items[0], validator=page.validator)) == ("", Unchanged())
    connector.close()


def test_a_feed_that_is_the_name_of_a_file_is_not_that_file(site: WebSite, tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_text("<rss version='2.0'><channel><item><guid>secret</guid></item></channel></rss>")
    site.put("/feed", str(tmp_path / "feed.xml"))
    assert fails(spec(SourceKind.FEED, f"{site.address}/feed")) == "NO_FEED"


def test_sitemaps_that_list_each_other_end(site: WebSite) -> None:
    for n in range(6):
        index = f"<sitemapindex><sitemap><loc>/map{n + 1}.xml</loc></sitemap><sitemap><loc>/map{n}.xml</loc></sitemap>"
        site.put(f"/map{n}.xml", f"{index}</sitemapindex>")
    found = listing_of(spec(SourceKind.SITEMAP, f"{site.address}/map0.xml"))
    assert "max_depth" in found.fault
    assert len(site.asked) == LIMITS.max_depth


def test_pages_of_other_hosts_are_not_taken(site: WebSite) -> None:
    urls = "<url><loc>http://other.example.com/x</loc></url><url><loc>javascript:alert(1)</loc></url>"
    site.put("/map.xml", f"<urlset>{urls}<url><loc>/page</loc></url></urlset>")
    found = listing_of(spec(SourceKind.SITEMAP, f"{site.address}/map.xml"))
    assert [item.key for item in found.items] == [f"{site.address}/page"]


def test_robots_txt_is_obeyed(site: WebSite) -> None:
    site.put("/robots.txt", "User-agent: *\nDisallow: /private\n", media_type="text/plain")
    site.put("/map.xml", "<urlset><url><loc>/private/a</loc></url><url><loc>/open</loc></url></urlset>")
    site.put("/private/a", "private")
    site.put("/open", "open")
    connector = open_connector(spec(SourceKind.SITEMAP, f"{site.address}/map.xml"))
    with pytest.raises(ItemRefused, match=r"robots\.txt"):
        connector.fetch(ListedItem(key=f"{site.address}/private/a"), validator="")
    assert isinstance(connector.fetch(ListedItem(key=f"{site.address}/open"), validator=""), Fetched)
    connector.close()
    assert "/private/a" not in site.asked


def test_while_robots_txt_cannot_be_read_nothing_is_fetched(site: WebSite) -> None:
    site.put("/robots.txt", "", status=503)
    site.put("/open", "open")
    connector = open_connector(spec(SourceKind.SITEMAP, f"{site.address}/map.xml"))
    with pytest.raises(ItemNotFetched):
        connector.fetch(ListedItem(key=f"{site.address}/open"), validator="")
    connector.close()
    assert "/open" not in site.asked


def test_requests_keep_their_distance(site: WebSite, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("sealserve.sources.web_client.time.sleep", waits.append)
    site.put("/a", "a")
    limits = with_limits(spec(SourceKind.FEED, site.address), requests_per_second=2.0).limits
    client = WebClient(limits, clock=lambda: 100.0)
    for _ in range(3):
        client.get(f"{site.address}/a", max_bytes=10)
    client.close()
    assert waits == [0.5, 1.0]


def test_requests_to_a_bucket_keep_their_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("sealserve.sources.web_client.time.sleep", waits.append)
    with s3_server() as endpoint:
        place = S3Place(endpoint)
        for name in ("a", "b"):
            place.put(name, name)
        connector = open_connector(replace(place.spec, limits=replace(place.spec.limits, requests_per_second=0.01)))
        found = connector.listing("")
        assert isinstance(found, Listing)
        for item in found.items:
            connector.fetch(item, validator="")
        connector.close()
    assert len([wait for wait in waits if wait > 90]) == 2


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/../../b.html", "/etc/passwd.html", "..\\x.html", "C:\\x.html"])
def test_names_that_climb_are_refused_and_others_taken(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "space.zip", "w") as archive:
        archive.writestr(name, "climbs")
        archive.writestr("good.html", "<p>good</p>")
    connector = open_connector(spec(SourceKind.EXPORT, str(tmp_path / "space.zip")))
    found = connector.listing("")
    assert isinstance(found, Listing)
    outcomes = {}
    for item in found.items:
        try:
            connector.fetch(item, validator="")
            outcomes[item.key] = "fetched"
        except ItemRefused as refused:
            outcomes[item.key] = refused.reason
    assert outcomes.pop("good.html") == "fetched"
    assert set(outcomes.values()) <= {"BAD_NAME"}


def test_a_zip_bomb_costs_its_own_item(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "space.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.html", b"0" * 30_000_000)
        archive.writestr("good.html", "<p>good</p>")
    connector = open_connector(spec(SourceKind.EXPORT, str(tmp_path / "space.zip")))
    with pytest.raises(ItemRefused, match="more than"):
        connector.fetch(ListedItem(key="bomb.html"), validator="")
    assert isinstance(connector.fetch(ListedItem(key="good.html"), validator=""), Fetched)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\0" * 100, b"[" * 100_000, b'{"articles": 7}', b'[{"id": []}]']
)
def test_an_export_that_is_none_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "space.zip").write_bytes(content)
    assert fails(spec(SourceKind.EXPORT, str(tmp_path / "space.zip"))) == "NO_ARCHIVE"
    (tmp_path / "articles.json").write_bytes(content)
    os.utime(tmp_path / "articles.json", LONG_AGO)
    found = listing_of(spec(SourceKind.EXPORT, str(tmp_path / "articles.json")))
    assert found.items == ()


def test_an_unreadable_folder_is_named_and_the_rest_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "a.md").write_text("words")
    real = os.listdir

    def listdir(path: Any) -> list[str]:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("sealserve.sources.folders.os.listdir", listdir)
    found = listing_of(spec(SourceKind.DIRECTORY, str(tmp_path)))
    assert [item.key for item in found.items] == ["a.md"]
    assert found.fault == "locked: Permission denied"


def test_links_are_followed_inside_the_folder_only(tmp_path: Path) -> None:
    (tmp_path / "outside.md").write_text("secret")
    shelf = tmp_path / "shelf"
    (shelf / "..2026").mkdir(parents=True)
    (shelf / "..2026" / "c.md").write_text("inside")
    (shelf / "..data").symlink_to("..2026")
    (shelf / "c.md").symlink_to("..data/c.md")
    (shelf / "out.md").symlink_to("../outside.md")
    found = listing_of(spec(SourceKind.DIRECTORY, str(shelf)))
    assert [item.key for item in found.items] == ["c.md"]
    connector = open_connector(spec(SourceKind.DIRECTORY, str(shelf)))
    with pytest.raises(ItemNotFetched):
        connector.fetch(ListedItem(key="out.md"), validator="")


def test_a_file_that_was_just_written_is_left_for_the_next_sync(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("half")
    connector = open_connector(spec(SourceKind.DIRECTORY, str(tmp_path)))
    with pytest.raises(ItemFailed, match="still being written"):
        connector.fetch(ListedItem(key="a.md"), validator="")


def test_a_repository_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    GitPlace(tmp_path / "real")
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / ".git").write_text(f"gitdir: {tmp_path / 'real' / '.git'}\n")
    assert fails(spec(SourceKind.GIT, str(tmp_path / "trap"))) == "BAD_REPOSITORY"
    assert fails(spec(SourceKind.GIT, str(tmp_path))) == "NO_REPOSITORY"


@pytest.mark.parametrize("body", [b"", b"<html>login</html>", b"001e# service=git-upload-pack\n0000", b"\xff" * 5000])
def test_a_server_that_is_no_git_server_is_said_to_be_none(site: WebSite, body: bytes) -> None:
    kind = "application/x-git-upload-pack-advertisement"
    site.put("/wiki/info/refs?service=git-upload-pack", body, media_type=kind)
    assert fails(spec(SourceKind.GIT, f"{site.address}/wiki")) in ("BAD_REPOSITORY", "NO_BRANCH", "NO_REPOSITORY")


@pytest.mark.slow  # fills a process's memory
def test_an_item_that_takes_all_memory_is_refused_and_the_next_one_is_fetched(tmp_path: Path) -> None:
    """A limit of the process that fetches ends that process; a new one takes the next item."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("huge.html", b"0" * 400_000_000)
        archive.writestr("good.html", "<p>good</p>")
    (tmp_path / "space.zip").write_bytes(content.getvalue())
    chosen = spec(SourceKind.EXPORT, str(tmp_path / "space.zip"), max_item_bytes=10**9)
    connector = ChildConnector(chosen, memory_bytes=400 * 2**20)
    try:
        with pytest.raises(ItemRefused, match="too much time or memory"):
            connector.fetch(ListedItem(key="huge.html"), validator="")
        assert isinstance(connector.fetch(ListedItem(key="good.html"), validator=""), Fetched)
    finally:
        connector.close()


def test_zendesk_articles_that_are_drafts_or_broken_are_left_out(tmp_path: Path) -> None:
    good = {"id": 7, "title": "Returns", "body": "<p>30 days</p>", "locale": "en-us"}
    lines = [good, {"id": 8, "body": None}, {"id": 9, "draft": True, "body": "x"}, 17, {"title": "no id", "body": "x"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    os.utime(tmp_path / "a.jsonl", LONG_AGO)
    found = listing_of(spec(SourceKind.EXPORT, str(tmp_path / "a.jsonl")))
    assert [item.key for item in found.items] == ["article:7:en-us"]
