"""`sealserve source`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealserve.records.sources import ItemState, SourceItem, SourceKind, SyncCounts, SyncReport
from sealserve.settings.sources import SourceSettings
from tests.cli.site import Site, run, running

ADDRESS = "https://docs.example.com/sitemap.xml"


def test_a_source_is_added_listed_shown_and_removed(site: Site) -> None:
    options = ["--kind", "sitemap", "--mirror", "--every-minutes", "30", "--include", "/help/*"]
    added = site.json("source", "add", "acme", "site", ADDRESS, *options, "--secret", "SOURCE_ACME__SITE")
    assert (added["name"], added["kind"], added["interval_seconds"], added["mirror"]) == (
        "site",
        "sitemap",
        1800.0,
        True,
    )
    assert (added["include"], added["secret_variable"], added["state"]) == (["/help/*"], "SOURCE_ACME__SITE", "waiting")
    (listed,) = site.json("source", "list", "acme")["sources"]
    assert listed == added
    assert site.json("source", "show", "acme", "site")["items"] == []
    assert "its documents stay" in site.run("source", "remove", "acme", "site").out
    assert site.run("source", "show", "acme", "site").code == 3
    assert "no sources yet" in site.run("source", "list", "acme").out


def test_problems_and_items_are_shown(site: Site) -> None:
    site.json("source", "add", "acme", "site", ADDRESS, "--kind", "sitemap")
    sources = site.registry.sources
    sources.begin("acme", "site")
    sources.record(
        SourceItem(tenant="acme", source="site", key="/a", state=ItemState.FAILED, reason="STATUS_5XX: status 503")
    )
    report = SyncReport(counts=SyncCounts(listed=1, failed=1), alarm="9 of 10 items are not there any more")
    sources.finish("acme", "site", report, next_after_seconds=60.0)
    shown = site.run("source", "show", "acme", "site").out
    assert "9 of 10 items" in shown
    assert "status 503" in shown
    assert "alarm" in site.run("source", "list", "acme").out
    assert site.json("source", "show", "acme", "site", "--state", "received")["items"] == []


def test_a_source_that_cannot_work_is_refused(site: Site) -> None:
    refused = site.run("source", "add", "acme", "Site", ADDRESS, "--kind", "sitemap")
    assert refused.code == 2
    assert site.run("source", "add", "acme", "news", ADDRESS, "--kind", "feed", "--mirror").code == 2
    assert site.run("source", "sync", "acme", "nothing").code == 3
    assert site.json("source", "list", "acme")["sources"] == []


def test_a_sync_is_asked_for(site: Site) -> None:
    site.json("source", "add", "acme", "site", ADDRESS, "--kind", "sitemap")
    assert site.json("source", "sync", "acme", "site")["next_sync_at"]
    assert "asked to sync" in site.run("source", "sync", "acme", "site").out


SECRET = ("--secret", "SOURCE_ACME__ONE")
OF_KINDS = {
    SourceKind.DIRECTORY: ("shelf",),
    SourceKind.EXPORT: ("articles.json",),
    SourceKind.FEED: ("https://blog.example.com/feed.xml", "--linked-pages"),
    SourceKind.SITEMAP: (ADDRESS,),
    SourceKind.OBJECTS: ("s3://manuals/current?endpoint=https://store.example.com", *SECRET),
    SourceKind.GIT: ("https://git.example.com/wiki.git", "--branch", "main"),
    SourceKind.WEBHOOK: SECRET,
}
"""What `source add` is given for each kind, as its help says."""


@pytest.fixture
def shelves(tmp_path: Path) -> Iterator[Site]:
    """A server that reads tenants' folders, with one document and one export of acme."""
    own = tmp_path / "shelves" / "acme"
    (own / "shelf").mkdir(parents=True)
    (own / "shelf" / "returns.md").write_text("Returns take nine days.")
    (own / "articles.json").write_text('{"articles": [{"id": 17, "title": "Returns", "body": "<p>Nine days.</p>"}]}')
    for path in (own / "shelf" / "returns.md", own / "articles.json"):
        os.utime(path, (1_700_000_000, 1_700_000_000))  # they have long been written
    with running(tmp_path, sources=SourceSettings(local_directory=tmp_path / "shelves")) as here:
        yield here


@pytest.mark.parametrize("kind", SourceKind)
def test_every_kind_of_source_is_added_by_the_command_line(shelves: Site, kind: SourceKind) -> None:
    added = shelves.json("source", "add", "acme", "one", *OF_KINDS[kind], "--kind", kind)
    assert (added["kind"], added["location"]) == (kind, "" if kind is SourceKind.WEBHOOK else OF_KINDS[kind][0])
    assert (added["next_sync_at"] is None) == (kind is SourceKind.WEBHOOK)


@pytest.mark.parametrize("kind", SourceKind)
def test_the_help_says_what_each_kind_needs(kind: SourceKind) -> None:
    assert f"--kind {kind}: " in " ".join(run("source", "add", "--help").out.split())


def test_a_webhook_is_told_where_its_sender_posts(site: Site) -> None:
    options = ("--kind", "webhook")
    refused = site.run("source", "add", "acme", "hook", *options)
    assert (refused.code, "SOURCE_ACME__NAME" in refused.err) == (2, True)
    assert "/sources/acme/hook" in site.run("source", "add", "acme", "hook", *options, *SECRET).out


def test_a_test_shows_what_a_source_has(shelves: Site) -> None:
    shelves.json("source", "add", "acme", "shelf", "shelf", "--kind", "directory")
    shelves.json("source", "add", "acme", "help", "articles.json", "--kind", "export")
    assert shelves.json("source", "test", "acme", "shelf") == {"items": 1, "keys": ["returns.md"], "error": ""}
    assert shelves.json("source", "test", "acme", "help") == {"items": 1, "keys": ["article:17"], "error": ""}
    assert "next" not in shelves.run("source", "test", "acme", "shelf").out


def test_a_test_that_finds_a_problem_fails_and_says_what_to_do(shelves: Site) -> None:
    shelves.json("source", "add", "acme", "gone", "nowhere", "--kind", "directory")
    found = shelves.json("source", "test", "acme", "gone", code=1)
    assert (found["items"], found["keys"]) == (0, [])
    assert "below sources.local_directory" in found["error"]
    assert "sealserve source test acme gone" in shelves.run("source", "test", "acme", "gone").out


def test_a_test_of_a_webhook_asks_for_its_signing_key(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.json("source", "add", "acme", "hook", "--kind", "webhook", *SECRET)
    assert "SOURCE_ACME__ONE is not set" in site.json("source", "test", "acme", "hook", code=1)["error"]
    monkeypatch.setenv("SOURCE_ACME__ONE", "k" * 32)
    assert site.json("source", "test", "acme", "hook") == {"items": 0, "keys": [], "error": ""}


@pytest.mark.parametrize(
    ("report", "code", "words"),
    [
        (SyncReport(counts=SyncCounts(), error="no connection"), 1, "sealserve source test acme site"),
        (SyncReport(counts=SyncCounts(), alarm="9 of 10 items are gone"), 1, "9 of 10 items"),
        (SyncReport(counts=SyncCounts(listed=2, failed=1)), 0, "sealserve source show acme site --state failed"),
        (SyncReport(counts=SyncCounts(listed=2, received=2)), 0, "2 received"),
    ],
)
def test_a_sync_that_is_waited_for_ends_as_the_sync_did(
    site: Site, monkeypatch: pytest.MonkeyPatch, report: SyncReport, code: int, words: str
) -> None:
    site.json("source", "add", "acme", "site", ADDRESS, "--kind", "sitemap")

    def sync(_: float) -> None:
        site.registry.sources.begin("acme", "site")
        site.registry.sources.finish("acme", "site", report, next_after_seconds=60.0)

    monkeypatch.setattr("sealserve.cli.source.time.sleep", sync)
    ended = site.run("source", "sync", "acme", "site", "--wait")
    assert (ended.code, words in ended.out) == (code, True), ended
    assert site.json("source", "sync", "acme", "site", "--wait", code=code)["name"] == "site"
