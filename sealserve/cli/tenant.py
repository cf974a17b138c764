"""`sealserve tenant`: create, list and show tenants."""

from typing import Annotated

import typer

from sealserve.cli.session import Session, command

app = typer.Typer(help="Create, list and show tenants.", no_args_is_help=True)

Tenant = Annotated[str, typer.Argument(help="Tenant name.", show_default=False)]


@command(app, "create")
def create(
    session: Session,
    tenant: Tenant,
    display_name: Annotated[str, typer.Option(help="Display name.", show_default=False)] = "",
) -> None:
    """Create a tenant. It answers with the base model at once."""
    from sealserve.cli import output

    with session.client() as client:
        made = client.create_tenant(tenant, display_name=display_name)
    session.show(made, lambda: output.printable(f"created tenant {made.tenant}; it answers with the base model"))


@command(app, "list")
def list_tenants(session: Session) -> None:
    """List tenants with their active versions."""
    from sealserve.cli import output

    with session.client() as client:
        found = list(client.tenants())
    rows = ((one.tenant, one.display_name, output.version_name(one.desired_version), one.created_at) for one in found)
    session.show(
        {"tenants": found},
        lambda: output.table(
            ["tenant", "name", "active version", "created"],
            rows,
            empty="no tenants yet; create one with: sealserve tenant create NAME",
        ),
    )


@command(app, "show")
def show_tenant(session: Session, tenant: Tenant) -> None:
    """Show a tenant."""
    from sealserve.cli import output

    with session.client() as client:
        found = client.tenant(tenant)
    session.show(
        found,
        lambda: output.pairs([
            ("tenant", found.tenant), ("name", found.display_name),
            ("active version", output.version_name(found.desired_version)), ("activation", found.activation),
            ("etag", found.etag), ("created", found.created_at),
        ]),
    )  # fmt: skip
