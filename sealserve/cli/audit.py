"""`sealserve audit`: every change there was, chained by hashes."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from sealserve.cli.local_registry import registry_of
from sealserve.cli.session import Session, command
from sealserve.errors import InvalidArgument

app = typer.Typer(help="Every change there was: who, what, when, chained by hashes.")


@command(app, "list")
def list_rows(
    session: Session,
    tenant: Annotated[str, typer.Option(help="Only this tenant's; all if left out.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most this many rows.")] = 1000,
) -> None:
    """List changes, oldest first."""
    from sealserve.cli import output

    with session.client() as client:
        found = list(islice(client.audit(tenant or None), limit))
    rows = ((one.sequence, one.at, one.actor, one.action, one.tenant, one.subject) for one in found)
    columns = ["#", "when", "who", "what", "tenant", "subject"]
    session.show({"rows": found}, lambda: output.table(columns, rows, empty="nothing has changed yet"))


@command(app, "verify")
def verify(
    session: Session,
    file: Annotated[
        Path | None, typer.Option(help="An exported trail instead of the server's.", show_default=False)
    ] = None,
) -> None:
    """Recompute the whole chain. Exit code 1 and the first broken row if it does not fit."""
    if file is not None:
        from sealserve.proof import trail
        from sealserve.proof.keys import KeyRing

        if not file.is_file():
            raise InvalidArgument(f"{file} is no file", field="file")
        trusted = KeyRing(session.settings().data_directory / "keys").trusted_keys()
        rows = trail.check(file, trusted=trusted)
        session.show({"whole": True, "rows": rows}, lambda: f"the file is whole: {rows} rows")
        return
    with session.client() as client:
        rows = client.verify_audit()
    session.show({"whole": True, "rows": rows}, lambda: f"the chain is whole: {rows} rows")


@command(app, "export")
def export(session: Session, to: Annotated[Path, typer.Option(help="The file to write.", show_default=False)]) -> None:
    """Write every row and a signed head into a file that can be checked elsewhere. Runs where the daemon runs."""
    from sealserve.proof import trail
    from sealserve.proof.keys import KeyRing

    if to.exists():
        raise InvalidArgument(f"{to} exists already; choose another name", field="to")
    ring = KeyRing(session.settings().data_directory / "keys")
    with registry_of(session) as registry, to.open("x", encoding="utf-8") as file:
        rows = trail.write(trail.every_row(registry.audit.rows), file, key=ring.signing_key(), now=datetime.now(UTC))
    session.show({"file": str(to), "rows": rows}, lambda: f"written: {rows} rows to {to}")


@command(app, "rotate-key")
def rotate_key(session: Session) -> None:
    """Sign manifests and exports with a new key from now on; what the old one signed stays trusted."""
    from sealserve.proof.keys import KeyRing

    key = KeyRing(session.settings().data_directory / "keys").rotate()
    session.show({"key": key}, lambda: f"signing with key {key}; the one before still verifies")
