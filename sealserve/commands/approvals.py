"""`sealserve approvals`: versions that policy left to people."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sealserve.commands.adapters import Etag, Version, Wait, number_of
from sealserve.commands.session import Session, command
from sealserve.commands.tenants import Tenant
from sealserve.records.approvals import Approval, ApprovalState

if TYPE_CHECKING:
    from rich.console import RenderableType


app = typer.Typer(help="Versions that policy left to people: show them, approve or reject them.")


@command(app, "list")
def list_approvals(
    session: Session,
    tenant: Annotated[str, typer.Argument(help="Only this tenant's; all you see if left out.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
) -> None:
    """List held versions that wait for a decision."""
    from sealserve.commands import show

    with session.client() as client:
        tenants = [tenant] if tenant else [one.tenant for one in client.tenants()]
        held = [one for name in tenants for one in client.approvals(name)]
    open_states = (ApprovalState.WAITING, ApprovalState.LATE)
    found = [one for one in held if every or one.state in open_states]
    rows = (
        (one.tenant, show.version_name(one.version), one.state, one.held_at, one.authors, one.reason) for one in found
    )
    columns = ["tenant", "version", "state", "held", "authors", "held by"]
    session.show({"approvals": found}, lambda: show.table(columns, rows, empty="nothing waits for a person"))


@command(app, "show")
def show_approval(session: Session, tenant: Tenant, version: Version) -> None:
    """Show all there is to decide on: what holds it, documents, answers before and after, scores, self-edits."""
    from sealserve.commands import edits, show
    from sealserve.commands.cycles import trials_of

    with session.client() as client:
        held = client.approval(tenant, number_of(version))
        report = client.cycle(tenant, held.cycle)
        documents = [client.document(tenant, one) for one in report.documents]
        trials = trials_of(client, report)
    shown = {
        **show.plain(held),
        "documents": show.plain(documents),
        "answers": show.plain(report.answers),
        "cycle_report": show.plain(report),
        "self_edits": [edits.edit_json(edit, report) for edit in trials.edits],
        "changes": show.plain(trials.changes),
    }
    session.show(shown, lambda: _page(held, documents, report, trials))


@command(app, "approve")
def approve(
    session: Session,
    tenant: Tenant,
    version: Version,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit trail.", show_default=False)] = "",
    etag: Etag = "",
    wait: Wait = True,
) -> None:
    """Approve a held version: it becomes the one that answers, unless policy wants more people to approve."""
    from sealserve.commands import show

    with session.client() as client:
        held, moved = client.approve(tenant, number_of(version), etag=etag, reason=reason)
        if wait and moved is not None:
            client.wait_until_observed(tenant, moved.activation)
    name = show.version_name(held.version)
    given = sum(opinion.approves for opinion in held.opinions)
    text = f"{tenant}: {name} answers" if moved else f"{tenant}: {name} has {given} approvals; policy wants more"
    shown = {**show.plain(held), "activation": show.plain(moved) if moved else None}
    session.show(shown, lambda: show.printable(text))


@command(app, "reject")
def reject(
    session: Session,
    tenant: Tenant,
    version: Version,
    reason: Annotated[str, typer.Option("--reason", help="What is wrong with it.", show_default=False)],
) -> None:
    """Reject a held version for good. The reason is kept with it."""
    from sealserve.commands import show

    with session.client() as client:
        held = client.reject(tenant, number_of(version), reason=reason)
    session.show(held, lambda: show.printable(f"{tenant}: {show.version_name(held.version)} is rejected"))


def _page(held: Approval, documents: list[Any], report: Any, trials: Any) -> "RenderableType":
    from rich.console import Group

    from sealserve.commands import edits, render, show

    own = show.pairs([
        ("version", show.version_name(held.version)), ("tenant", held.tenant), ("state", held.state),
        ("held by", held.reason), ("authors", held.authors), ("held", held.held_at),
    ])  # fmt: skip
    said = ((one.given_at, one.actor, "approves" if one.approves else "rejects", one.reason) for one in held.opinions)
    rows = ((one.document, one.title, one.source, one.state, one.size_bytes) for one in documents)
    return Group(
        own,
        "",
        show.table(["when", "who", "says", "why"], said, empty="nobody has said anything yet"),
        "",
        show.table(["document", "title", "source", "state", "bytes"], rows, empty="no documents"),
        "",
        render.answers(report),
        "",
        render.cycle(report, edits.render(report, trials)),
    )
