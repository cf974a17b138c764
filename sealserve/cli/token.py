"""`sealserve token`: who may call, and what they may do."""

from typing import Annotated

import typer

from sealserve.cli.session import Session, command
from sealserve.errors import InvalidArgument, NotFound
from sealserve.records.principals import Principal, Role

app = typer.Typer(help="Who may call, and what they may do: make, list and revoke tokens.")


@command(app, "create")
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="Whose it is, never used before: ann, acme/bob.", show_default=False)],
    role: Annotated[Role, typer.Option("--role", help="What it may do.", show_default=False)],
    tenant: Annotated[
        list[str] | None, typer.Option("--tenant", help="Bind it to this tenant; may be repeated.", show_default=False)
    ] = None,
    all_tenants: Annotated[bool, typer.Option("--all-tenants", help="Bind it to none: it sees all.")] = False,
    expires_days: Annotated[
        int | None,
        typer.Option("--expires-days", help="Days until it ends by itself; never if left out.", show_default=False),
    ] = None,
) -> None:
    """Make a token and show its secret, this once.

    viewer asks and reads; operator also hands documents in, starts cycles, promotes and rolls back; approver also
    decides on held documents and versions; tenant-admin is all three and makes tokens for its tenants; admin is
    everything; engine is for `sealserve learn`. admin and engine need --all-tenants.
    """
    from sealserve.cli import output

    bound = tuple(tenant or ())
    if bool(bound) == all_tenants:
        raise InvalidArgument("say which tenants it is for: --tenant NAME (repeated), or --all-tenants", field="tenant")
    principal = Principal(name=name, role=role, tenants=None if all_tenants else bound)
    with session.client() as client:
        token, secret = client.create_token(principal, expires_days=expires_days)
    session.show(
        {**output.plain(token), "secret": secret},
        lambda: output.pairs(
            [("token", token.token), ("for", name), ("role", role), ("tenants", _tenants(principal)),
             ("expires", token.expires_at or "never"), ("secret", secret),
             ("", "The secret is not shown again: hand it over now, as SEALSERVE_TOKEN.")]
        ),
    )  # fmt: skip


@command(app, "list")
def list_tokens(session: Session) -> None:
    """List tokens, expired and revoked ones included."""
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
    columns = ["token", "for", "role", "tenants", "made by", "made", "expires", "revoked"]
    session.show({"tokens": found}, lambda: output.table(columns, rows, empty="no tokens yet"))


@command(app, "revoke")
def revoke(
    session: Session,
    name: Annotated[str, typer.Argument(help="Whose token, or the token's id.", show_default=False)],
) -> None:
    """Refuse a token from now on. It stays listed, and its name is never given again."""
    from sealserve.cli import output

    with session.client() as client:
        matching = [one.token for one in client.tokens() if name in (one.token, one.principal.name)]
        if not matching:
            raise NotFound(name, kind="token")
        if len(matching) > 1:
            text = f"{name} has {len(matching)} tokens: {', '.join(matching)}; revoke them by id"
            raise InvalidArgument(text, field="name")
        revoked = client.revoke_token(matching[0])
    session.show(revoked, lambda: output.printable(f"token {revoked.token} of {revoked.principal.name} is refused now"))


def _tenants(principal: Principal) -> str:
    return "all" if principal.tenants is None else ", ".join(principal.tenants)
