"""`sealserve watch` and `sealserve adapter traffic`: how a new version does in use, and who gets it."""

from typing import TYPE_CHECKING, Annotated

import typer

from sealserve.cli.session import Session, command
from sealserve.cli.tenant import Tenant
from sealserve.errors import NotFound
from sealserve.records.rollouts import Count, WatchReport

if TYPE_CHECKING:
    from rich.console import RenderableType


app = typer.Typer(help="What speaks against a version since it became active, and whether it was taken back.")


@command(app, "list")
def list_watches(session: Session, tenant: Tenant) -> None:
    """List the watches over a tenant's versions, newest first."""
    from sealserve.cli import output

    with session.client() as client:
        found = list(client.watches(tenant))
    rows = (
        (one.watch.activation, output.version_name(one.watch.version), one.watch.state, one.watch.trigger or "",
         one.watch.counts[Count.PAIRS], one.watch.opened_at, one.watch.reason)
        for one in found
    )  # fmt: skip
    columns = ["activation", "version", "state", "on", "pairs", "opened", "reason"]
    session.show({"watches": found}, lambda: output.table(columns, rows, empty="no version was watched yet"))


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


def _page(report: WatchReport) -> "RenderableType":
    from rich.console import Group

    from sealserve.cli import output

    watch = report.watch
    head = [
        ("version", output.version_name(watch.version)),
        ("incumbent", output.version_name(watch.incumbent)),
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
        output.pairs(head),
        output.table(columns, signals, empty=""),
        output.table(["counted", ""], counts, empty="nothing was counted yet"),
    )
