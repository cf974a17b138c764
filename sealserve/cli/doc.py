"""`sealserve doc`: submit, list and inspect documents; release held ones; unlearn one."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sealserve.cli.session import YOUR_FAULT, Session, command
from sealserve.cli.tenant import Tenant
from sealserve.errors import CallerError, InvalidArgument, NotFound
from sealserve.intake.media_types import READABLE, SUFFIXES, MediaType
from sealserve.records.documents import Document, DocumentState, rule_that_holds

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sealserve.client import Client

app = typer.Typer(help="Submit, list and inspect documents; release held ones; unlearn one.")

DocumentId = Annotated[str, typer.Argument(help="Document id, from `doc list`.", show_default=False)]

_STOPPED = (DocumentState.QUARANTINED, DocumentState.HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """The result for one path. `error` is empty if the document was accepted."""

    path: str
    document: Document | None
    is_new: bool
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The result for one held document. `error` is empty if it was released."""

    document: str
    title: str
    error: str


@command(app, "add")
def add(
    session: Session,
    tenant: Tenant,
    paths: Annotated[
        list[str],
        typer.Argument(help=f"Files, directories ({READABLE} in them), or - for stdin.", show_default=False),
    ],
    title: Annotated[str, typer.Option(help="Title; only for a single document.", show_default=False)] = "",
    media_type: Annotated[
        str,
        typer.Option(help="For example text/markdown; default: by file name. The bytes decide where they are clear."),
    ] = "",
) -> None:
    """Submit documents. Learning starts automatically; follow it with `cycle watch`.

    Submitting the same contents again returns the same document. If a document is refused, held or cannot be read,
    the exit code is 2; the others are accepted.
    """
    if title and len(paths) > 1:
        raise InvalidArgument("--title is only for a single document", field="title")
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
    text: Annotated[bool, typer.Option("--text", help="Also show its text.")] = False,
) -> None:
    """Show a document."""
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
    documents: Annotated[
        list[str] | None, typer.Argument(help="Document ids, from `doc list --state held`.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every held document of the tenant.")] = False,
    rule: Annotated[
        str,
        typer.Option(help="With --all: only those that this rule holds, for example ingest.flood.", show_default=False),
    ] = "",
    reason: Annotated[str, typer.Option(help="Reason, recorded in the audit log.", show_default=False)] = "",
    yes: Annotated[bool, typer.Option("--yes", help="With --all: do not ask for confirmation.")] = False,
) -> None:
    """Allow documents that policy holds to be learned. Read them first: `doc show --text`.

    Documents that policy denied or that could not be parsed cannot be released. Of several, each is released by itself,
    with its own entry in the audit log; if one is refused, the exit code is 2, and the others are released.
    """
    from sealserve.cli import output

    names = documents or []
    if every == bool(names) or (rule and not every):
        raise InvalidArgument("name the documents, or say --all (and with it --rule)", field="documents")
    with session.client() as client:
        if len(names) == 1:
            shown = output.plain(client.release_document(tenant, names[0], reason=reason))
            session.show(shown, lambda: output.pairs(list(shown.items())))
            return
        if every:
            names = _held(client, tenant, rule=rule)
            if not yes:
                typer.confirm(f"Release {len(names)} held documents of {tenant}?", abort=True, err=True)
        released = [_release(client, tenant, name, reason=reason) for name in names]
    rows = [(one.document, "refused" if one.error else "admitted", one.title, one.error) for one in released]
    columns = ["document", "state", "title", "reason"]
    session.show({"documents": released}, lambda: output.table(columns, rows, empty="no documents are held"))
    if any(one.error for one in released):
        raise typer.Exit(YOUR_FAULT)


@command(app, "forget")
def forget(
    session: Session,
    tenant: Tenant,
    document: DocumentId,
    reason: Annotated[str, typer.Option(help="Reason, recorded in the audit log.", show_default=False)] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Unlearn a document: delete it and everything derived from it, permanently.

    Versions trained on it never answer again. The newest version that never saw it becomes active at once, and a cycle
    retrains the other documents. Afterwards the questions about the document are asked again; the audit log records
    the counts (document.forget.probe), or the reason there are none (document.forget.unprobed).
    """
    from sealserve.cli import output

    with session.client() as client:
        found = client.document(tenant, document)
        if not yes:
            typer.confirm(f"Permanently unlearn {found.title!r} ({document})?", abort=True, err=True)
        done = client.forget_document(tenant, document, reason=reason)
    shown = {**output.plain(done), "next": f"sealserve cycle watch {tenant} {done.cycle}" if done.cycle else ""}
    session.show(shown, lambda: output.pairs([(name.replace("_", " "), value) for name, value in shown.items()]))


def _held(client: "Client", tenant: str, *, rule: str) -> list[str]:
    """Return the ids of the tenant's held documents, of one `rule` or of all."""
    held = client.documents(tenant, state=DocumentState.HELD)
    return [one.document for one in held if not rule or rule_that_holds(one) == rule]


def _release(client: "Client", tenant: str, document: str, *, reason: str) -> Released:
    try:
        found = client.release_document(tenant, document, reason=reason)
    except CallerError as error:
        return Released(document=document, title="", error=error.message)
    return Released(document=document, title=found.title, error="")


def _files(path: str) -> Iterator[str]:
    """Yield `path` itself, or the documents in and below it. Raises: InvalidArgument (nothing there)."""
    if path == "-" or Path(path).is_file():
        yield path
        return
    found = sorted(file for file in Path(path).rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not found:
        raise InvalidArgument(f"{path}: no such file, or no files in it that can be read ({READABLE})", field="paths")
    yield from map(str, found)


def _add(client: "Client", tenant: str, path: str, *, title: str, media_type: str) -> Added:
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
            "" if one.is_new or not one.document else "already known",
            one.error or (one.document.reason if one.document else ""),
        )
        for one in added
    ]
    return output.table(["file", "document", "state", "", "reason"], rows, empty="no documents")
