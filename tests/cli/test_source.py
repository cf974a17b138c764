"""`sealserve source`."""

from sealserve.records.sources import ItemState, SourceItem, SyncCounts, SyncReport
from tests.cli.site import Site

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
