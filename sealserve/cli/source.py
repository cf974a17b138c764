"""`sealserve source`: places that documents come from by themselves."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from sealserve.cli.session import OUR_FAULT, Session, command
from sealserve.cli.tenant import Tenant
from sealserve.errors import DeadlineExceeded
from sealserve.records.sources import ItemState, NewSource, Source, SourceItem, SourceKind

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sealserve.client import Client

app = typer.Typer(help="Manage sources: feeds, sites, repositories, buckets and folders that documents come from.")

Name = Annotated[str, typer.Argument(help="Source name.", show_default=False)]
_POLL_SECONDS = 0.5


@command(app, "add")
def add(
    session: Session,
    tenant: Tenant,
    name: Name,
    kind: Annotated[SourceKind, typer.Option("--kind", help="Kind of source.", show_default=False)],
    location: Annotated[str, typer.Argument(help="Address or path; empty for a webhook.", show_default=False)] = "",
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Forget what leaves the source, and earlier versions of what changes.")
    ] = False,
    every_minutes: Annotated[
        float, typer.Option("--every-minutes", min=1, max=43_200, help="Time between two syncs.")
    ] = 60.0,
    secret: Annotated[
        str,
        typer.Option("--secret", help="Name of the server's environment variable with the secret.", show_default=False),
    ] = "",
    include: Annotated[
        list[str] | None,
        typer.Option("--include", help="Pattern of items to take, such as docs/*.md; repeatable.", show_default=False),
    ] = None,
    branch: Annotated[str, typer.Option("--branch", help="Branch of a git repository.", show_default=False)] = "",
    linked_pages: Annotated[
        bool, typer.Option("--linked-pages", help="Take the pages that a feed links to, not its entries.")
    ] = False,
) -> None:
    """Add a source. The server syncs it soon, and then every --every-minutes.

    --kind directory: a path below the tenant's folder of the server's sources.local_directory.

    --kind export: a path, as above, to a folder, zip archive or JSON file that Confluence (HTML) or Zendesk wrote.

    --kind feed: the https address of RSS or Atom. It takes --linked-pages.

    --kind sitemap: the https address of a sitemap, or of an index of sitemaps.

    --kind objects: s3://bucket/prefix, with ?endpoint=https://... for other stores than Amazon's, and --secret.

    --kind git: an https address, or a path as above. It takes --branch.

    --kind webhook: no location, but --secret. Its sender posts signed items to /sources/TENANT/NAME at the server's
    http.address.

    --secret names a variable SOURCE_<TENANT>__<NAME> in the server's environment. Its value is a token or
    user:password, for objects "key id:secret key", for a webhook the signing key. It is never stored.
    """
    new = NewSource(
        name=name,
        kind=kind,
        location=location,
        mirror=mirror,
        interval_seconds=60.0 * every_minutes,
        secret_variable=secret,
        include=tuple(include or ()),
        branch=branch,
        linked_pages=linked_pages,
    )
    with session.client() as client:
        made = client.create_source(tenant, new)
    session.show(_shown(made), lambda: _added(made))


@command(app, "list")
def list_sources(session: Session, tenant: Tenant) -> None:
    """List a tenant's sources, with the state of their last sync and the time of the next."""
    from sealserve.cli import output

    with session.client() as client:
        found = list(client.sources(tenant))
    rows = (
        (one.name, one.kind, one.location, one.mirror, _state(one), one.finished_at or "", one.next_sync_at or "",
         one.alarm or one.error)
        for one in found
    )  # fmt: skip
    columns = ["source", "kind", "location", "mirror", "state", "last sync", "next sync", "problem"]
    session.show({"sources": list(map(_shown, found))}, lambda: output.table(columns, rows, empty="no sources yet"))


@command(app, "show")
def show(
    session: Session,
    tenant: Tenant,
    name: Name,
    state: Annotated[
        ItemState | None, typer.Option("--state", help="Only items in this state.", show_default=False)
    ] = None,
) -> None:
    """Show a source, its last sync, and what became of each of its items."""
    from rich.console import Group

    from sealserve.cli import output

    with session.client() as client:
        source = client.source(tenant, name)
        items = list(client.source_items(tenant, name, state=state))
    rows = ((one.key, one.state, one.document, one.checked_at or "", one.reason) for one in items)
    columns = ["item", "state", "document", "checked", "reason"]
    session.show(
        {**_shown(source), "items": list(map(_shown_item, items))},
        lambda: Group(_pairs(source), output.table(columns, rows, empty="no items yet")),
    )


@command(app, "test")
def test(session: Session, tenant: Tenant, name: Name) -> None:
    """List what a source has now, without taking anything in. Exit code 1 if something is wrong with it.

    Of a webhook, check that the server has its signing key.
    """
    from rich.console import Group

    from sealserve.cli import output

    with session.client(timeout_seconds=600.0) as client:
        count, keys, error = client.test_source(tenant, name)
    lines = [("items", count), ("problem", error), *(("", key) for key in keys)]
    if count > len(keys):
        lines.append(("", f"… and {count - len(keys)} more"))
    if error:
        lines.append(("next", f"mend that, then run again: sealserve source test {tenant} {name}"))
    session.show({"items": count, "keys": keys, "error": error}, lambda: Group(output.pairs(lines)))
    if error:
        raise typer.Exit(OUR_FAULT)


@command(app, "sync")
def sync(
    session: Session,
    tenant: Tenant,
    name: Name,
    accept_removals: Annotated[
        bool,
        typer.Option("--accept-removals", help="Forget all that left a mirrored source, however much it is."),
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the sync has ended.")] = False,
    timeout_seconds: Annotated[float, typer.Option("--timeout", min=1, help="Longest wait, in seconds.")] = 600.0,
) -> None:
    """Sync a source as soon as the server has a place for it.

    With --wait, the exit code is 1 if the sync failed or raised an alarm, and 4 if it has not ended in time. Single
    items that failed are tried again at the next sync.
    """
    from sealserve.cli import output

    with session.client() as client:
        asked = client.sync_source(tenant, name, accept_removals=accept_removals)
        if wait:
            asked = _ended(client, asked, timeout_seconds=timeout_seconds)
    text = f"source {name} is asked to sync; see how it goes with: sealserve source show {tenant} {name}"
    session.show(_shown(asked), lambda: _pairs(asked) if wait else output.printable(text))
    if wait and (asked.error or asked.alarm):
        raise typer.Exit(OUR_FAULT)


@command(app, "remove")
def remove(session: Session, tenant: Tenant, name: Name) -> None:
    """Remove a source. Its documents stay; `doc forget` unlearns them."""
    from sealserve.cli import output

    with session.client() as client:
        gone = client.delete_source(tenant, name)
    session.show(_shown(gone), lambda: output.printable(f"source {gone.name} is removed; its documents stay"))


def _added(source: Source) -> str:
    """Return what to do after adding the source."""
    from sealserve.cli import output

    posted = f"it waits for what is posted to /sources/{source.tenant}/{source.name} at the server's http.address"
    advice = posted if source.kind is SourceKind.WEBHOOK else "its first sync begins soon"
    check = f"check it with: sealserve source test {source.tenant} {source.name}"
    return output.printable(f"source {source.name} is added; {advice}; {check}")


def _ended(client: "Client", asked: Source, *, timeout_seconds: float) -> Source:
    """Return the source once a sync that began after it was asked for has ended. Raises: DeadlineExceeded."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        now = client.source(asked.tenant, asked.name)
        began = now.started_at is not None and asked.next_sync_at is not None and now.started_at >= asked.next_sync_at
        if began and now.finished_at is not None and now.started_at is not None and now.finished_at >= now.started_at:
            return now
        time.sleep(_POLL_SECONDS)
    raise DeadlineExceeded(f"source {asked.name} has not been synced within {timeout_seconds:g} s; it goes on")


def _state(source: Source) -> str:
    if source.alarm:
        return "alarm"
    if source.started_at and (source.finished_at is None or source.finished_at < source.started_at):
        return "syncing"
    if source.error:
        return f"failed ({source.failures})"
    return "in sync" if source.finished_at else "waiting"


def _pairs(source: Source) -> "RenderableType":
    from sealserve.cli import output

    counts = source.counts
    return output.pairs(
        [
            ("source", source.name), ("kind", source.kind), ("location", source.location), ("state", _state(source)),
            ("mirror", source.mirror), ("every", f"{source.interval_seconds / 60:g} minutes"),
            ("last sync", source.finished_at), ("next sync", source.next_sync_at), ("error", source.error),
            ("alarm", source.alarm), ("next", _next(source)),
            ("items", f"{counts.listed} listed, {counts.received} received, {counts.unchanged} unchanged, "
                      f"{counts.refused} refused, {counts.failed} failed, {counts.gone} gone"),
            ("forgotten", f"{counts.forgotten} documents" if counts.forgotten else ""),
        ]
    )  # fmt: skip


def _next(source: Source) -> str:
    """Return the command that helps with the source's trouble; "" if it has none. An alarm says it itself."""
    if source.error:
        return f"sealserve source test {source.tenant} {source.name}"
    return f"sealserve source show {source.tenant} {source.name} --state failed" if source.counts.failed else ""


def _shown(source: Source) -> dict[str, object]:
    """Return what is printed as JSON: all but what only the server's syncs need."""
    from sealserve.cli import output

    fields: dict[str, object] = output.plain(source)
    return {name: value for name, value in fields.items() if name not in ("cursor", "removals_accepted")} | {
        "state": _state(source)
    }


def _shown_item(item: SourceItem) -> dict[str, object]:
    from sealserve.cli import output

    names = ("key", "state", "reason", "document", "size_bytes", "attempts", "checked_at")
    return {name: output.plain(getattr(item, name)) for name in names}
