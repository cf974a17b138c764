"""`sealserve audit`: every change there was, chained by hashes."""

from itertools import islice
from typing import Annotated

import typer

from sealserve.commands.session import Session, command

app = typer.Typer(help="Every change there was: who, what, when, chained by hashes.")


@command(app, "list")
def list_rows(
    session: Session,
    tenant: Annotated[str, typer.Option(help="Only this tenant's; all if left out.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most this many rows.")] = 1000,
) -> None:
    """List changes, oldest first."""
    from sealserve.commands import show

    with session.client() as client:
        found = list(islice(client.audit(tenant or None), limit))
    rows = ((one.sequence, one.at, one.actor, one.action, one.tenant, one.subject) for one in found)
    columns = ["#", "when", "who", "what", "tenant", "subject"]
    session.show({"rows": found}, lambda: show.table(columns, rows, empty="nothing has changed yet"))


@command(app, "verify")
def verify(session: Session) -> None:
    """Recompute the whole chain. Exit code 1 and the first broken row if it does not fit."""
    with session.client() as client:
        rows = client.verify_audit()
    session.show({"whole": True, "rows": rows}, lambda: f"the chain is whole: {rows} rows")
