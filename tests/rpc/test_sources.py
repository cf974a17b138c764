"""SourceService, through the client: keeping sources, asking for syncs, and showing what became of items."""

from dataclasses import replace

import pytest

from sealserve.client import AsyncClient
from sealserve.errors import AlreadyExists, InvalidArgument, NotFound, PermissionDenied, QuotaExceeded
from sealserve.records.principals import Role
from sealserve.records.sources import ItemState, NewSource, SourceItem, SourceKind, SyncCounts, SyncReport
from sealserve.settings.sources import SourceSettings
from tests.rpc.harness import Served
from tests.rpc.test_authorisation import as_principal

SITE = NewSource(
    name="site",
    kind=SourceKind.SITEMAP,
    location="https://docs.example.com/sitemap.xml",
    mirror=True,
    interval_seconds=600.0,
    secret_variable="SOURCE_ACME__SITE",
    include=("/help/*",),
)


async def test_a_source_is_kept_as_it_was_described(here: Served) -> None:
    made = await here.client.create_source("acme", SITE, request_id="r1")
    again = await here.client.create_source("acme", SITE, request_id="r1")
    assert made == again == await here.client.source("acme", "site")
    described = NewSource(**{name: getattr(made, name) for name in NewSource.__dataclass_fields__})
    assert described == SITE
    assert made.next_sync_at == made.created_at
    assert [one.name async for one in here.client.sources("acme")] == ["site"]
    assert [one.name async for one in here.client.sources("globex")] == []


async def test_bad_descriptions_are_refused_and_leave_nothing(here: Served) -> None:
    await here.client.create_source("acme", SITE)
    for bad, error in (
        (NewSource(name="site", kind=SourceKind.WEBHOOK, secret_variable="SOURCE_ACME__X"), AlreadyExists),
        (NewSource(name="B", kind=SourceKind.FEED, location="https://x.example.com"), InvalidArgument),
        (NewSource(name="b", kind=SourceKind.DIRECTORY, location="shelf"), InvalidArgument),
        (NewSource(name="b", kind=SourceKind.GIT, location="../../etc"), InvalidArgument),
        (NewSource(name="b", kind=SourceKind.GIT, location="ssh://git.example.com/wiki"), InvalidArgument),
        (NewSource(name="b", kind=SourceKind.GIT, location="git@git.example.com:wiki.git"), InvalidArgument),
        (NewSource(name="b", kind=SourceKind.FEED, location="https://[::1/feed"), InvalidArgument),
        (NewSource(name="b", kind=SourceKind.SITEMAP, location="https:///sitemap.xml"), InvalidArgument),
    ):
        with pytest.raises(error):
            await here.client.create_source("acme", bad)
    with pytest.raises(NotFound):
        await here.client.create_source("nobody", replace(SITE, secret_variable=""))
    assert [one.name async for one in here.client.sources("acme")] == ["site"]


async def test_a_tenant_has_so_many_sources_and_no_more(here: Served) -> None:
    for n in range(SourceSettings().max_per_tenant):
        await here.client.create_source(
            "acme", NewSource(name=f"s{n}", kind=SourceKind.FEED, location="https://x.example.com")
        )
    with pytest.raises(QuotaExceeded, match=r"sources\.max_per_tenant"):
        await here.client.create_source("acme", SITE)
    await here.client.create_source(
        "globex", NewSource(name="s", kind=SourceKind.FEED, location="https://x.example.com")
    )


async def test_what_became_of_a_sync_and_its_items_is_shown(here: Served) -> None:
    await here.client.create_source("acme", SITE)
    document = here.world.document()
    sources = here.registry.sources
    sources.begin("acme", "site")
    sources.record(
        SourceItem(
            tenant="acme", source="site", key="/a", state=ItemState.RECEIVED, document=document.document, size_bytes=7
        )
    )
    sources.record(
        SourceItem(tenant="acme", source="site", key="/b", state=ItemState.FAILED, reason="status 500", attempts=2)
    )
    report = SyncReport(counts=SyncCounts(listed=2, received=1, failed=1), error="half of it", alarm="too much")
    sources.finish("acme", "site", report, next_after_seconds=60.0)
    shown = await here.client.source("acme", "site")
    assert (shown.counts, shown.error, shown.alarm, shown.failures) == (report.counts, "half of it", "too much", 1)
    assert shown.finished_at is not None
    items = [one async for one in here.client.source_items("acme", "site")]
    assert [(one.key, one.state, one.document, one.reason, one.attempts) for one in items] == [
        ("/a", ItemState.RECEIVED, document.document, "", 0),
        ("/b", ItemState.FAILED, "", "status 500", 2),
    ]
    failed = [one.key async for one in here.client.source_items("acme", "site", state=ItemState.FAILED)]
    assert failed == ["/b"]


async def test_a_sync_is_due_at_once_when_it_is_asked_for(here: Served) -> None:
    await here.client.create_source("acme", SITE)
    here.registry.sources.begin("acme", "site")
    here.registry.sources.finish("acme", "site", SyncReport(counts=SyncCounts()), next_after_seconds=600.0)
    assert here.registry.sources.due(limit=5) == ()
    await here.client.sync_source("acme", "site")
    assert [one.name for one in here.registry.sources.due(limit=5)] == ["site"]


async def test_a_test_says_what_is_wrong_and_takes_nothing_in(here: Served) -> None:
    await here.client.create_source(
        "acme", NewSource(name="site", kind=SourceKind.SITEMAP, location="http://127.0.0.1:1/sitemap.xml")
    )
    count, keys, error = await here.client.test_source("acme", "site")
    assert (count, keys) == (0, ())
    assert "not a public address" in error
    assert here.registry.sources.get("acme", "site").finished_at is None


async def test_a_removed_source_leaves_its_documents(here: Served) -> None:
    await here.client.create_source("acme", SITE)
    document = here.world.document()
    here.registry.sources.record(
        SourceItem(tenant="acme", source="site", key="/a", state=ItemState.RECEIVED, document=document.document)
    )
    await here.client.delete_source("acme", "site")
    with pytest.raises(NotFound):
        await here.client.source("acme", "site")
    assert here.registry.documents.get("acme", document.document) == document


async def test_only_a_tenant_admin_adds_sources_and_accepts_removals(here: Served) -> None:
    await here.client.create_source("acme", SITE)
    async with as_principal(here, Role.OPERATOR, "acme") as operator:
        await _is_refused(operator)
        await operator.sync_source("acme", "site")
    async with as_principal(here, Role.TENANT_ADMIN, "acme") as admin:
        await admin.sync_source("acme", "site", accept_removals=True)
    assert here.registry.sources.get("acme", "site").removals_accepted


async def _is_refused(operator: AsyncClient) -> None:
    with pytest.raises(PermissionDenied):
        await operator.create_source(
            "acme", NewSource(name="b", kind=SourceKind.FEED, location="https://x.example.com")
        )
    with pytest.raises(PermissionDenied):
        await operator.sync_source("acme", "site", accept_removals=True)
    with pytest.raises(PermissionDenied):
        await operator.delete_source("acme", "site")


async def test_another_tenants_sources_do_not_exist(here: Served) -> None:
    await here.client.create_source("acme", SITE)
    async with as_principal(here, Role.TENANT_ADMIN, "globex") as stranger:
        for name in ("site", "other"):
            with pytest.raises(NotFound):
                await stranger.source("acme", name)
            with pytest.raises(NotFound):
                await stranger.delete_source("acme", name)


async def test_a_webhook_cannot_be_synced(here: Served) -> None:
    await here.client.create_source(
        "acme", NewSource(name="cms", kind=SourceKind.WEBHOOK, secret_variable="SOURCE_ACME__CMS")
    )
    with pytest.raises(InvalidArgument, match="webhook"):
        await here.client.sync_source("acme", "cms")
