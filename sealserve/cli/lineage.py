"""`sealserve lineage`, `adapter export`, `adapter import`: provenance, and adapters moved between installations.

These commands open the registry directly: run them on the daemon's machine.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from sealserve.cli import adapter
from sealserve.cli.local_registry import local_actor, registry_of
from sealserve.cli.session import Session, command
from sealserve.errors import InvalidArgument

What = Annotated[
    str, typer.Argument(help="acme/v3, acme/<document>, or the request id of an answer.", show_default=False)
]
Tenant = Annotated[str, typer.Argument(help="Tenant name.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands to `app` and to `sealserve adapter`."""
    command(app, "lineage", rich_help_panel="Use")(lineage)
    command(adapter.app, "export")(export)
    command(adapter.app, "import")(import_adapter)


def lineage(session: Session, what: What) -> None:
    """Show where an answer, a version or a document comes from, and what was derived from it."""
    from sealserve.cli import output
    from sealserve.proof.lineage import trace

    with registry_of(session) as registry:
        found = trace(registry, what)
    session.show(found, lambda: output.pairs([(name, str(value)) for name, value in found.items()]))


def export(
    session: Session,
    tenant: Tenant,
    version: Annotated[str, typer.Argument(help="Version: 3 or v3.", show_default=False)],
    to: Annotated[Path, typer.Option(help="The tar file to write.", show_default=False)],
) -> None:
    """Write a version with its signed manifest to a file that another installation can import."""
    from sealserve.cli.adapter import number_of
    from sealserve.proof.manifest import Seals
    from sealserve.proof.transfer import export as write

    with registry_of(session) as registry:
        seals = Seals.open(session.settings().data_directory, registry)
        file = write(registry, seals, tenant, number_of(version), to=to)
    session.show({"file": str(file), "bytes": file.stat().st_size}, lambda: f"wrote {file}")


def import_adapter(
    session: Session,
    tenant: Tenant,
    file: Annotated[Path | None, typer.Argument(help="A file written by `adapter export`.", show_default=False)] = None,
    from_peft: Annotated[
        Path | None, typer.Option("--from-peft", help="A folder written by PEFT's save_pretrained.", show_default=False)
    ] = None,
    base_is: Annotated[
        str,
        typer.Option(
            "--base-is",
            help="With --from-peft: the name by which the adapter knows its base. You confirm that it is the base "
            "model that this installation runs.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Import an adapter: an exported version, or one that PEFT wrote. A cycle measures it like any candidate.

    It is measured on the tenant's question sets; measurements of another installation are not used. Without a question
    set no gain can be shown, and the version is not promoted.
    """
    from sealserve.cli import output
    from sealserve.engine.base_model import base_shape, model_directory
    from sealserve.proof.manifest import Seals
    from sealserve.proof.transfer import take_in, take_in_peft

    if (file is None) == (from_peft is None):
        raise InvalidArgument("name a file, or a folder with --from-peft", field="file")
    settings = session.settings()
    base = base_shape(model_directory(settings.engine.model))
    with registry_of(session) as registry:
        taken: dict[str, Any] = {"base": base, "max_rank": settings.engine.max_rank, "actor": local_actor()}
        if from_peft is not None:
            made = take_in_peft(registry, tenant, from_peft, base_is=base_is, **taken)
        else:
            assert file is not None
            made = take_in(registry, Seals.open(settings.data_directory, registry), tenant, file, **taken)
    watch = f"sealserve cycle watch {tenant} {made.cycle}"
    session.show(
        {**output.plain(made), "next": watch},
        lambda: f"{tenant}: imported; it is measured next. Follow it with: {watch}",
    )
