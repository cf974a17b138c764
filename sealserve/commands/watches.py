"""`sealserve watch` and `sealserve adapter traffic`: how a new version does in use, and who gets it."""

from typing import TYPE_CHECKING, Annotated

import typer

from sealserve.commands.adapters import Etag, Reason, Wait, number_of
from sealserve.commands.adapters import app as adapters
from sealserve.commands.session import Session, command
from sealserve.commands.tenants import Tenant
from sealserve.errors import InvalidArgument, NotFound
from sealserve.records.rollouts import Count, Traffic, WatchReport

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(help="What speaks against a version since it became active, and whether it was taken back.")


@command(app, "list")
def list_watches(session: Session, tenant: Tenant) -> None:
    """List the watches over a tenant's versions, newest first."""
    from sealserve.commands import show

    with session.client() as client:
        found = list(client.watches(tenant))
    rows = (
        (one.watch.activation, show.version_name(one.watch.version), one.watch.state, one.watch.trigger or "",
         one.watch.counts[Count.PAIRS], one.watch.opened_at, one.watch.reason)
        for one in found
    )  # fmt: skip
    columns = ["activation", "version", "state", "on", "pairs", "opened", "reason"]
    session.show({"watches": found}, lambda: show.table(columns, rows, empty="no version was watched yet"))


@command(app, "show")
def show_watch(
    session: Session,
    tenant: Tenant,
    activation: Annotated[int, typer.Option(min=0, help="Of the watched version; 0: the newest watch.")] = 0,
) -> None:
    """Show a watch: its signals with their e-values, and what was counted. The newest one if none is named."""
    with session.client() as client:
        report = client.watch(tenant, activation) if activation else next(iter(client.watches(tenant)), None)
    if report is None:
        raise NotFound(f"tenants/{tenant}/watches", kind="watch")
    session.show(report, lambda: _page(report))


@command(adapters, "traffic")
def traffic(
    session: Session,
    tenant: Tenant,
    weight: Annotated[
        str, typer.Option("--weight", help="Shares of new requests, e.g. v3=0.9,v2=0.1; shown if left out.")
    ] = "",
    reason: Reason = "",
    etag: Etag = "",
    wait: Wait = True,
) -> None:
    """Show or set how new requests are shared between the active version and one that was active before it.

    The active version alone (v3=1) ends the sharing. The same sticky key gets the same version.
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
            raise InvalidArgument(f"{part!r} is no share; write v3=0.9,v2=0.1", field="weight") from error
        if number in shares:
            raise InvalidArgument(f"{version} is named twice", field="weight")
        shares[number] = value
    return shares


def _shares(shared: Traffic) -> "RenderableType":
    from sealserve.commands import show

    rows = ((show.version_name(version), f"{share:.3f}") for version, share in shared.shares.items())
    return show.table(["version", "share of new requests"], rows, empty="")


def _page(report: WatchReport) -> "RenderableType":
    from rich.console import Group

    from sealserve.commands import show

    watch = report.watch
    head = [
        ("version", show.version_name(watch.version)),
        ("incumbent", show.version_name(watch.incumbent)),
        ("state", watch.state),
        ("stage", "set by a person" if watch.stage is None else watch.stage + 1),
        ("opened", watch.opened_at),
        ("decided", watch.decided_at or ""),
        ("reason", f"{watch.trigger}: {watch.reason}" if watch.trigger else watch.reason),
    ]
    signals = (
        (one.trigger, one.bad, one.n, f"{one.tolerated:.2f}", f"{one.e_value:.3g}", f"{report.limit:g}")
        for one in report.signals
    )
    columns = ["signal", "bad", "of", "tolerated", "e-value", "limit"]
    counts = ((count.value, value) for count, value in watch.counts.items() if value)
    return Group(
        show.pairs(head),
        show.table(columns, signals, empty=""),
        show.table(["counted", ""], counts, empty="nothing was counted yet"),
    )
