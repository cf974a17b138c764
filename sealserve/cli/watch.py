"""`sealserve watch`: post-promotion monitoring of new versions."""

from typing import TYPE_CHECKING, Annotated

import typer

from sealserve.cli.session import Session, command
from sealserve.cli.tenant import Tenant
from sealserve.errors import NotFound
from sealserve.records.rollouts import Count, WatchReport

if TYPE_CHECKING:
    from rich.console import RenderableType


app = typer.Typer(help="Post-promotion monitoring: signals and automatic rollbacks.")


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
    columns = ["activation", "version", "state", "trigger", "pairs", "opened", "reason"]
    session.show({"watches": found}, lambda: output.table(columns, rows, empty="no watches yet"))


@command(app, "show")
def show_watch(
    session: Session,
    tenant: Tenant,
    activation: Annotated[int, typer.Option(min=0, help="Activation of the version; 0 is the newest watch.")] = 0,
) -> None:
    """Show a watch: its signals with their e-values, and the counts. Default: the newest watch."""
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
        ("stage", "set manually" if watch.stage is None else watch.stage + 1),
        ("opened", watch.opened_at),
        ("decided", watch.decided_at or ""),
        ("reason", f"{watch.trigger}: {watch.reason}" if watch.trigger else watch.reason),
    ]
    signals = (
        (one.trigger, one.bad, one.n, f"{one.tolerated:.2f}", f"{one.e_value:.3g}", f"{report.limit:g}")
        for one in report.signals
    )
    columns = ["signal", "bad", "n", "tolerated", "e-value", "limit"]
    counts = ((count.value, value) for count, value in watch.counts.items() if value)
    return Group(
        output.pairs(head),
        output.table(columns, signals, empty=""),
        output.table(["count", ""], counts, empty="no counts yet"),
    )
