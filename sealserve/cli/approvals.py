"""`sealserve approvals`: decisions on versions that policy holds for review, and what else waits for a person."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sealserve.cli.adapter import Etag, Version, Wait, number_of
from sealserve.cli.session import Session, command
from sealserve.cli.tenant import Tenant
from sealserve.records.approvals import Approval, ApprovalState
from sealserve.records.documents import Document, DocumentState

if TYPE_CHECKING:
    from rich.console import RenderableType


app = typer.Typer(help="Review, approve or reject versions that policy holds.")


@command(app, "list")
def list_approvals(
    session: Session,
    tenant: Annotated[str, typer.Argument(help="Only this tenant; default: all you may see.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Include decided versions.")] = False,
) -> None:
    """List the versions and documents that await a decision. A document is released with `doc release`."""
    from sealserve.cli import output

    with session.client() as client:
        tenants = [tenant] if tenant else [one.tenant for one in client.tenants()]
        held = [one for name in tenants for one in client.approvals(name)]
        documents = [one for name in tenants for one in client.documents(name, state=DocumentState.HELD)]
    open_states = (ApprovalState.WAITING, ApprovalState.LATE)
    found = [one for one in held if every or one.state in open_states]
    rows = (
        (one.tenant, output.version_name(one.version), one.state, one.held_at, one.authors, one.reason) for one in found
    )
    columns = ["tenant", "version", "state", "held", "authors", "held by"]
    versions = output.table(columns, rows, empty="no version awaits a decision")
    session.show({"approvals": found, "documents": documents}, lambda: _waiting(versions, documents))


@command(app, "show")
def show_approval(session: Session, tenant: Tenant, version: Version) -> None:
    """Show a held version: the reason, documents, answers before and after, scores and self-edits."""
    from sealserve.cli import output, render_self_edits
    from sealserve.cli.cycle import trials_of

    with session.client() as client:
        held = client.approval(tenant, number_of(version))
        report = client.cycle(tenant, held.cycle)
        documents = [client.document(tenant, one) for one in report.documents]
        trials = trials_of(client, report)
    shown = {
        **output.plain(held),
        "documents": output.plain(documents),
        "answers": output.plain(report.answers),
        "cycle_report": output.plain(report),
        "self_edits": [render_self_edits.edit_json(edit, report) for edit in trials.edits],
        "changes": output.plain(trials.changes),
    }
    session.show(shown, lambda: _page(held, documents, report, trials))


@command(app, "approve")
def approve(
    session: Session,
    tenant: Tenant,
    version: Version,
    reason: Annotated[
        str, typer.Option("--reason", help="Reason, recorded in the audit log.", show_default=False)
    ] = "",
    etag: Etag = "",
    wait: Wait = True,
) -> None:
    """Approve a held version. It becomes active unless policy requires more approvals."""
    from sealserve.cli import output

    with session.client() as client:
        held, moved = client.approve(tenant, number_of(version), etag=etag, reason=reason)
        if wait and moved is not None:
            client.wait_until_observed(tenant, moved.activation)
    name = output.version_name(held.version)
    given = sum(opinion.approves for opinion in held.opinions)
    text = f"{tenant}: {name} is active" if moved else f"{tenant}: {name} has {given} approvals; policy requires more"
    shown = {**output.plain(held), "activation": output.plain(moved) if moved else None}
    session.show(shown, lambda: output.printable(text))


@command(app, "reject")
def reject(
    session: Session,
    tenant: Tenant,
    version: Version,
    reason: Annotated[str, typer.Option("--reason", help="Reason for the rejection.", show_default=False)],
) -> None:
    """Reject a held version permanently. The reason is recorded with it."""
    from sealserve.cli import output

    with session.client() as client:
        held = client.reject(tenant, number_of(version), reason=reason)
    session.show(held, lambda: output.printable(f"{tenant}: {output.version_name(held.version)} is rejected"))


def _waiting(versions: "RenderableType", documents: list[Document]) -> "RenderableType":
    from rich.console import Group

    from sealserve.cli import output

    rows = ((one.tenant, one.document, one.title, one.source, one.created_at, one.reason) for one in documents)
    columns = ["tenant", "document", "title", "source", "received", "held by"]
    return Group(versions, "", output.table(columns, rows, empty="no document awaits a decision"))


def _page(held: Approval, documents: list[Any], report: Any, trials: Any) -> "RenderableType":
    from rich.console import Group

    from sealserve.cli import output, render_cycle, render_self_edits

    own = output.pairs([
        ("version", output.version_name(held.version)), ("tenant", held.tenant), ("state", held.state),
        ("held by", held.reason), ("authors", held.authors), ("held", held.held_at),
    ])  # fmt: skip
    votes = ((one.given_at, one.actor, "approves" if one.approves else "rejects", one.reason) for one in held.opinions)
    rows = ((one.document, one.title, one.source, one.state, one.size_bytes) for one in documents)
    return Group(
        own,
        "",
        output.table(["when", "who", "decision", "reason"], votes, empty="no decisions yet"),
        "",
        output.table(["document", "title", "source", "state", "bytes"], rows, empty="no documents"),
        "",
        render_cycle.answers(report),
        "",
        render_cycle.cycle(report, render_self_edits.render(report, trials)),
    )
