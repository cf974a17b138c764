"""`sealserve adapter`: list, inspect, promote and roll back versions, and split traffic between two."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sealserve.cli.session import Session, command
from sealserve.cli.tenant import Tenant
from sealserve.errors import InvalidArgument
from sealserve.records.rollouts import Traffic
from sealserve.records.versions import Activation

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(help="List, inspect, promote and roll back a tenant's versions.")

Version = Annotated[str, typer.Argument(help="Version: 3, v3 or base.", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", help="Reason, recorded in the audit log.", show_default=False)]
Etag = Annotated[
    str, typer.Option("--etag", help="The tenant's etag as last read; fails if it has changed.", show_default=False)
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until every replica serves it.")]


@command(app, "list")
def list_adapters(session: Session, tenant: Tenant) -> None:
    """List versions, newest first, and mark the active one."""
    from sealserve.cli import output

    with session.client() as client:
        active = client.tenant(tenant).desired_version
        found = list(client.adapters(tenant))
    rows = (
        (
            output.version_name(one.version), "active" if one.version == active else "", one.state,
            "stays loaded" if one.stays_loaded else "loaded" if one.is_loaded else "",
            one.cycle, len(one.documents), one.created_at, one.reason,
        )
        for one in found
    )  # fmt: skip
    columns = ["version", "", "state", "", "cycle", "documents", "published", "reason"]
    result = {"active_version": active, "adapters": found}
    session.show(result, lambda: output.table(columns, rows, empty="no versions yet; the base model answers"))


@command(app, "show")
def show_adapter(session: Session, tenant: Tenant, version: Version) -> None:
    """Show a version's lineage: documents, self-edits, recipe, scores, verdict and digests."""
    from sealserve.cli import render_cycle

    with session.client() as client:
        found = client.adapter(tenant, number_of(version))
    session.show(found, lambda: render_cycle.adapter(found))


@command(app, "promote")
def promote(
    session: Session, tenant: Tenant, version: Version, reason: Reason = "", etag: Etag = "", wait: Wait = True
) -> None:
    """Make a version active. Running requests finish on the previous version."""
    with session.client() as client:
        moved = client.promote(tenant, number_of(version), etag=etag, reason=reason)
        _finish(session, client, moved, wait=wait)


@command(app, "rollback")
def rollback(
    session: Session,
    tenant: Tenant,
    to: Annotated[
        str, typer.Option(help="Roll back to this version instead of the previous one.", show_default=False)
    ] = "",
    reason: Reason = "",
    etag: Etag = "",
    wait: Wait = True,
) -> None:
    """Return to the previous version. The change takes effect at once."""
    target = number_of(to) if to else None
    with session.client() as client:
        moved = client.rollback(tenant, to_version=target, etag=etag, reason=reason)
        _finish(session, client, moved, wait=wait)


@command(app, "watch")
def watch(session: Session, tenant: Tenant) -> None:
    """Show the desired version and the version each replica serves, now and after every change. Stop with Ctrl-C.

    With --json, prints one object per line.
    """
    from sealserve.cli import render_cycle

    with session.client() as client:
        for report in client.watch_adapters(tenant):
            session.show(report, lambda report=report: render_cycle.report(report))  # type: ignore[misc]


def _finish(session: Session, client: Any, moved: Activation, *, wait: bool) -> None:
    """Wait for the replicas if asked to, then show the move. Raises: DeadlineExceeded (they lag)."""
    from sealserve.cli import output

    if wait:
        client.wait_until_observed(moved.tenant, moved.activation)
    now, before = output.version_name(moved.version), output.version_name(moved.previous)
    is_live = "is active" if wait else "is being activated"
    session.show(
        {**output.plain(moved), "observed": wait},
        lambda: output.printable(f"{moved.tenant}: {now} {is_live} (before: {before})"),
    )


def number_of(version: str) -> int:
    """Return the version's number. Raises: InvalidArgument."""
    digits = version.lower().removeprefix("v")
    if version.lower() == "base":
        return 0
    if not digits.isascii() or not digits.isdigit():
        raise InvalidArgument(f"{version!r} is not a version; write 3, v3 or base", field="version")
    return int(digits)


@command(app, "traffic")
def traffic(
    session: Session,
    tenant: Tenant,
    weight: Annotated[
        str, typer.Option("--weight", help="Shares of new requests, such as v3=0.9,v2=0.1; omit to show them.")
    ] = "",
    reason: Reason = "",
    etag: Etag = "",
    wait: Wait = True,
) -> None:
    """Show or set how new requests are split between the active version and a formerly active one.

    Giving the active version alone (v3=1) ends the split. Requests with the same sticky key get the same version.
    """
    with session.client() as client:
        if weight:
            shared = client.set_traffic(tenant, shares_of(weight), etag=etag, reason=reason)
            if wait:
                client.wait_until_observed(tenant, shared.activation)
        else:
            shared = client.traffic(tenant)
    session.show(shared, lambda: _shares(shared))


def shares_of(weight: str) -> dict[int, float]:
    """Return the share of each version in `v3=0.9,v2=0.1`. Raises: InvalidArgument."""
    shares: dict[int, float] = {}
    for part in weight.split(","):
        version, _, share = part.strip().partition("=")
        try:
            number, value = number_of(version.strip()), float(share)
        except ValueError as error:
            raise InvalidArgument(f"{part!r} is not a share; write v3=0.9,v2=0.1", field="weight") from error
        if number in shares:
            raise InvalidArgument(f"{version} is given twice", field="weight")
        shares[number] = value
    return shares


def _shares(shared: Traffic) -> "RenderableType":
    from sealserve.cli import output

    rows = ((output.version_name(version), f"{share:.3f}") for version, share in shared.shares.items())
    return output.table(["version", "share of new requests"], rows, empty="")
