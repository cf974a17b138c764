"""`sealserve audit`: the hash-chained log of all changes."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from sealserve.cli.local_registry import local_actor, registry_of
from sealserve.cli.session import Session, command
from sealserve.errors import InvalidArgument

app = typer.Typer(help="The hash-chained log of all changes: list, verify, export.")


@command(app, "list")
def list_rows(
    session: Session,
    tenant: Annotated[str, typer.Option(help="Only this tenant; default: all.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of rows.")] = 1000,
) -> None:
    """List changes, oldest first."""
    from sealserve.cli import output

    with session.client() as client:
        found = list(islice(client.audit(tenant or None), limit))
    rows = ((one.sequence or "", one.at, one.actor, one.action, one.tenant, one.subject) for one in found)
    columns = ["#", "when", "actor", "action", "tenant", "subject"]
    session.show({"rows": found}, lambda: output.table(columns, rows, empty="no changes yet"))


@command(app, "verify")
def verify(
    session: Session,
    file: Annotated[
        Path | None, typer.Option(help="Verify an exported log instead of the server's.", show_default=False)
    ] = None,
) -> None:
    """Recompute the hash chain. If it is broken, print the first broken row and exit with code 1.

    On the daemon's machine also checks the head that `serve` signs every hour, which a rewritten chain does not fit.
    """
    if file is not None:
        from sealserve.proof import trail
        from sealserve.proof.keys import KeyRing

        if not file.is_file():
            raise InvalidArgument(f"{file} is not a file", field="file")
        with registry_of(session) as registry:
            ring = KeyRing(session.settings().data_directory / "keys", registry)
            rows = trail.check(file, trusted=ring.trusted_keys())
        session.show({"whole": True, "rows": rows}, lambda: f"the file is intact: {rows} rows")
        return
    with session.client() as client:
        rows = client.verify_audit()
    signed = _check_signed_head(session)
    told = f"; the first {signed} are as they were signed" if signed is not None else "; no signed head on this machine"
    session.show(
        {"whole": True, "rows": rows, "signed_rows": signed}, lambda: f"the chain is intact: {rows} rows{told}"
    )


def _check_signed_head(session: Session) -> int | None:
    """Return how many rows the newest signed head in the data directory covers. Raises: CorruptArtifact."""
    from sealserve.proof.heads import HEAD_FILE, check_head
    from sealserve.proof.keys import KeyRing

    directory = session.settings().data_directory
    if not (directory / HEAD_FILE).exists():
        return None
    with registry_of(session) as registry:
        return check_head(registry, KeyRing(directory / "keys", registry), directory / HEAD_FILE)


@command(app, "export")
def export(session: Session, to: Annotated[Path, typer.Option(help="The file to write.", show_default=False)]) -> None:
    """Write all rows and a signed head to a file that can be verified elsewhere. Run it on the daemon's machine."""
    from sealserve.proof import trail
    from sealserve.proof.keys import KeyRing

    if to.exists():
        raise InvalidArgument(f"{to} exists already; choose another name", field="to")
    with registry_of(session) as registry, to.open("x", encoding="utf-8") as file:
        ring = KeyRing(session.settings().data_directory / "keys", registry)
        rows = trail.write(trail.every_row(registry.audit.rows), file, key=ring.signing_key(), now=datetime.now(UTC))
    session.show({"file": str(to), "rows": rows}, lambda: f"wrote {rows} rows to {to}")


@command(app, "rotate-key")
def rotate_key(session: Session) -> None:
    """Sign manifests and exports with a new key. Signatures of the old key stay trusted."""
    from sealserve.proof.keys import KeyRing

    with registry_of(session) as registry:
        key = KeyRing(session.settings().data_directory / "keys", registry).rotate(actor=local_actor())
    session.show({"key": key}, lambda: f"now signing with key {key}; signatures of the old key stay trusted")
