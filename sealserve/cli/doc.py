"""`sealserve doc`: what came in, and where it stands."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sealserve.cli.session import YOUR_FAULT, Session, command
from sealserve.cli.tenant import Tenant
from sealserve.errors import CallerError, InvalidArgument, NotFound
from sealserve.records.documents import Document, DocumentState

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sealserve.client import Client

app = typer.Typer(help="What a tenant wants the model to know: hand documents in, see where they stand.")

DocumentId = Annotated[str, typer.Argument(help="The document's id, from `doc list`.", show_default=False)]

_STOPPED = (DocumentState.QUARANTINED, DocumentState.HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of one path. `error` is empty when the document was kept."""

    path: str
    document: Document | None
    is_new: bool
    error: str


@command(app, "add")
def add(
    session: Session,
    tenant: Tenant,
    paths: Annotated[
        list[str],
        typer.Argument(help="Files, directories (md, txt, html, pdf inside), or - for stdin.", show_default=False),
    ],
    title: Annotated[str, typer.Option(help="Title, for a single document.", show_default=False)] = "",
    media_type: Annotated[
        str, typer.Option(help="text/plain, text/markdown, text/html or application/pdf; else by the file's name.")
    ] = "",
) -> None:
    """Hand documents in. Learning starts by itself; follow it with `cycle watch`.

    The same contents again are the same document. Exit code 2 if one was refused or held, or could not be read;
    the others are kept.
    """
    if title and len(paths) > 1:
        raise InvalidArgument("--title names one document; leave it out for many", field="title")
    files = [file for path in paths for file in _files(path)]
    with session.client() as client:
        added = [_add(client, tenant, file, title=title, media_type=media_type) for file in files]
    session.show({"documents": added}, lambda: _added_table(added))
    if any(one.error or (one.document and one.document.state in _STOPPED) for one in added):
        raise typer.Exit(YOUR_FAULT)


@command(app, "list")
def list_documents(
    session: Session,
    tenant: Tenant,
    state: Annotated[DocumentState | None, typer.Option(help="Only those in this state.", show_default=False)] = None,
) -> None:
    """List documents, oldest first, with their states."""
    from sealserve.cli import output

    with session.client() as client:
        found = list(client.documents(tenant, state=state))
    rows = ((one.document, one.state, one.title, one.source, one.created_at, one.reason) for one in found)
    columns = ["document", "state", "title", "source", "received", "reason"]
    session.show({"documents": found}, lambda: output.table(columns, rows, empty="no documents"))


@command(app, "show")
def show_document(
    session: Session,
    tenant: Tenant,
    document: DocumentId,
    text: Annotated[bool, typer.Option("--text", help="Show its text too.")] = False,
) -> None:
    """Show one document."""
    from sealserve.cli import output

    with session.client() as client:
        found = client.document(tenant, document)
        body = client.document_text(tenant, document) if text else None
    shown = {**output.plain(found), **({} if body is None else {"text": body})}
    session.show(shown, lambda: output.pairs([(name.replace("_", " "), value) for name, value in shown.items()]))


@command(app, "release")
def release(
    session: Session,
    tenant: Tenant,
    document: DocumentId,
    reason: Annotated[str, typer.Option(help="Why, for the audit trail.", show_default=False)] = "",
) -> None:
    """Let a document be learned that policy holds, after having read it: `doc show --text`.

    What was denied or could not be read stays where it is.
    """
    from sealserve.cli import output

    with session.client() as client:
        found = client.release_document(tenant, document, reason=reason)
    shown = output.plain(found)
    session.show(shown, lambda: output.pairs(list(shown.items())))


@command(app, "forget")
def forget(
    session: Session,
    tenant: Tenant,
    document: DocumentId,
    reason: Annotated[str, typer.Option(help="Why, for the audit trail.", show_default=False)] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a document and all that was made of it, for good.

    Versions that learned it never answer again. The last one that never saw it answers at once; a cycle teaches the
    other documents once more. What was asked about the document is asked again then: the counts follow in the audit
    trail (document.forget.probe), or why there are none (document.forget.unprobed).
    """
    from sealserve.cli import output

    with session.client() as client:
        found = client.document(tenant, document)
        if not yes:
            typer.confirm(f"Forget {found.title!r} ({document}) for good?", abort=True, err=True)
        done = client.forget_document(tenant, document, reason=reason)
    shown = {**output.plain(done), "next": f"sealserve cycle watch {tenant} {done.cycle}" if done.cycle else ""}
    session.show(shown, lambda: output.pairs([(name.replace("_", " "), value) for name, value in shown.items()]))


def _files(path: str) -> Iterator[str]:
    """Yield `path` itself, or the documents in and below it. Raises: InvalidArgument (nothing there)."""
    from sealserve.intake.media_types import SUFFIXES

    if path == "-" or Path(path).is_file():
        yield path
        return
    found = sorted(file for file in Path(path).rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not found:
        raise InvalidArgument(f"{path}: no such file, or a directory without md, txt, html or pdf files", field="paths")
    yield from map(str, found)


def _add(client: "Client", tenant: str, path: str, *, title: str, media_type: str) -> Added:
    from sealserve.intake.media_types import SUFFIXES, MediaType

    is_stdin = path == "-"
    guessed = SUFFIXES.get(Path(path).suffix.lower(), MediaType.PLAIN).value
    source = "stdin" if is_stdin else f"file:{Path(path).name}"
    try:
        body = sys.stdin.buffer.read() if is_stdin else Path(path).read_bytes()
        kept, is_new = client.add_document(tenant, body, title=title, media_type=media_type or guessed, source=source)
    except NotFound:
        raise
    except CallerError as error:
        return Added(path=path, document=None, is_new=False, error=error.message)
    except OSError as error:
        return Added(path=path, document=None, is_new=False, error=f"cannot be read: {error.strerror}")
    return Added(path=path, document=kept, is_new=is_new, error="")


def _added_table(added: list[Added]) -> "RenderableType":
    from sealserve.cli import output

    rows = [
        (
            one.path,
            one.document.document if one.document else "",
            one.document.state if one.document else "refused",
            "" if one.is_new or not one.document else "known already",
            one.error or (one.document.reason if one.document else ""),
        )
        for one in added
    ]
    return output.table(["file", "document", "state", "", "reason"], rows, empty="no documents")
