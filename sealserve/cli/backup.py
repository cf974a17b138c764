"""`sealserve backup` and `sealserve restore`. Run them on the daemon's machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sealserve.cli.local_registry import registry_of
from sealserve.cli.session import OUR_FAULT, Session, command

if TYPE_CHECKING:
    from sealserve.backup import Restored

Destination = Annotated[Path, typer.Argument(help="Directory to write, new or empty.", show_default=False)]
Source = Annotated[Path, typer.Argument(help="Directory that `sealserve backup` wrote.", show_default=False)]
NewDirectory = Annotated[
    Path, typer.Option("--data-directory", help="Data directory to fill, new or empty.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    command(app, "backup", rich_help_panel="Run")(backup)
    command(app, "restore", rich_help_panel="Run")(restore)


def backup(
    session: Session,
    destination: Destination,
    without_secrets: Annotated[
        bool, typer.Option("--without-secrets", help="Leave out the signing key, the tokens and the salt.")
    ] = False,
) -> None:
    """Write everything that the installation knows into a directory, while it runs.

    Holds documents and, unless left out, secrets: keep it private. Exit code 1 if an artifact is damaged or missing;
    the backup is then complete but for it.
    """
    from sealserve.backup import back_up

    settings = session.settings()
    with registry_of(session) as registry:
        made = back_up(settings, registry, destination, has_secrets=not without_secrets, say=session.note)
    told = (
        f"wrote {destination}: {made.audit_rows} audit rows, {made.artifacts} artifacts, "
        f"{made.artifact_bytes / 2**20:.1f} MiB\nrestore it with: sealserve restore {destination} --data-directory NEW"
    )
    if made.missing:
        told += f"\nmissing or damaged: {', '.join(made.missing)}"
    session.show({"directory": str(destination), "backup": made}, lambda: told)
    if made.missing:
        raise typer.Exit(OUR_FAULT)


def restore(session: Session, source: Source, data_directory: NewDirectory) -> None:
    """Restore a backup into a new data directory, and into the empty database of registry.url if it is set.

    Verifies files, artifacts, the audit log and the signature of every version. Exit code 1 if something is missing or
    cannot be verified: it is listed, and everything else is restored.
    """
    from sealserve.backup import restore as put_back

    found = put_back(session.settings(data_directory=data_directory), source, say=session.note)
    session.show({"whole": found.is_whole, "restored": found}, lambda: _told(found))
    if not found.is_whole:
        raise typer.Exit(OUR_FAULT)


def _told(found: "Restored") -> str:
    lines = [f"restored {found.tenants} tenants and {found.versions} versions into {found.data_directory}"]
    lines += [f"missing: artifact {one}" for one in found.missing]
    lines += [f"not verified: {one}" for one in found.not_verified]
    return "\n".join([*lines, "next:", *(f"- {one}" for one in found.next)])
