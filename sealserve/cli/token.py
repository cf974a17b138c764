"""`sealserve token`: create, list and revoke access tokens."""

from typing import Annotated

import typer

from sealserve.cli.session import Session, command
from sealserve.errors import InvalidArgument, NotFound
from sealserve.records.principals import Principal, Role

app = typer.Typer(help="Create, list and revoke access tokens.")


@command(app, "create")
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="Owner, a name not used before: ann, acme/bob.", show_default=False)],
    role: Annotated[Role, typer.Option("--role", help="Role of the owner.", show_default=False)],
    tenant: Annotated[
        list[str] | None,
        typer.Option("--tenant", help="Grant access to this tenant; repeatable.", show_default=False),
    ] = None,
    all_tenants: Annotated[bool, typer.Option("--all-tenants", help="Grant access to all tenants.")] = False,
    expires_days: Annotated[
        int | None,
        typer.Option("--expires-days", help="Lifetime in days; no expiry if omitted.", show_default=False),
    ] = None,
) -> None:
    """Create a token and show its secret, which is not shown again.

    A viewer asks and reads. An operator also submits documents, starts cycles, promotes and rolls back. An approver
    also decides on held documents and versions. A tenant-admin has all three roles and creates tokens for its
    tenants. An admin may do everything. The role engine is for `sealserve learn`. admin and engine require
    --all-tenants.
    """
    from sealserve.cli import output

    bound = tuple(tenant or ())
    if bool(bound) == all_tenants:
        raise InvalidArgument("give --tenant NAME (may be repeated) or --all-tenants", field="tenant")
    principal = Principal(name=name, role=role, tenants=None if all_tenants else bound)
    with session.client() as client:
        token, secret = client.create_token(principal, expires_days=expires_days)
    session.show(
        {**output.plain(token), "secret": secret},
        lambda: output.pairs(
            [("token", token.token), ("owner", name), ("role", role), ("tenants", _tenants(principal)),
             ("expires", token.expires_at or "never"), ("secret", secret),
             ("", "The secret is not shown again. Use it as SEALSERVE_TOKEN.")]
        ),
    )  # fmt: skip


@command(app, "list")
def list_tokens(session: Session) -> None:
    """List tokens, including expired and revoked ones."""
    from sealserve.cli import output

    with session.client() as client:
        found = list(client.tokens())
    rows = (
        (
            one.token, one.principal.name, one.principal.role, _tenants(one.principal), one.created_by, one.created_at,
            one.expires_at or "never", one.revoked_at or "",
        )
        for one in found
    )  # fmt: skip
    columns = ["token", "owner", "role", "tenants", "created by", "created", "expires", "revoked"]
    session.show({"tokens": found}, lambda: output.table(columns, rows, empty="no tokens yet"))


@command(app, "revoke")
def revoke(
    session: Session,
    name: Annotated[str, typer.Argument(help="Owner or id of the token.", show_default=False)],
) -> None:
    """Revoke a token. It stays listed, and its owner's name cannot be used again."""
    from sealserve.cli import output

    with session.client() as client:
        matching = [one.token for one in client.tokens() if name in (one.token, one.principal.name)]
        if not matching:
            raise NotFound(name, kind="token")
        if len(matching) > 1:
            text = f"{name} has {len(matching)} tokens: {', '.join(matching)}; revoke by id"
            raise InvalidArgument(text, field="name")
        revoked = client.revoke_token(matching[0])
    session.show(revoked, lambda: output.printable(f"token {revoked.token} of {revoked.principal.name} is revoked"))


def _tenants(principal: Principal) -> str:
    return "all" if principal.tenants is None else ", ".join(principal.tenants)
