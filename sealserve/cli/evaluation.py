"""`sealserve evaluation`: a tenant's question sets."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sealserve.cli.session import Session, command
from sealserve.cli.tenant import Tenant
from sealserve.errors import InvalidArgument
from sealserve.records.question_sets import EvaluationItem

evaluation = typer.Typer(help="Manage a tenant's question sets, which take precedence over generated questions.")


@command(evaluation, "add")
def add_set(
    session: Session,
    tenant: Tenant,
    name: Annotated[str, typer.Argument(help="Set name.", show_default=False)],
    file: Annotated[
        Path, typer.Argument(help="JSONL file: question, answer, optional matcher and pattern.", show_default=False)
    ],
) -> None:
    """Submit questions with their answers; changed contents under the same name become a new revision.

    One JSON object per line: {"question", "answer"}, and "matcher": contains (default), exact, or regex with "pattern".
    """
    from sealserve.cli import output

    with session.client() as client:
        kept, is_new = client.add_evaluation_set(tenant, name, read_items(file))
    text = f"{kept.name} revision {kept.revision}: {len(kept.items)} questions{'' if is_new else ', already known'}"
    session.show({**output.plain(kept), "already_known": not is_new}, lambda: output.printable(text))


@command(evaluation, "list")
def list_sets(session: Session, tenant: Tenant) -> None:
    """List all revisions of a tenant's sets, newest first."""
    from sealserve.cli import output

    with session.client() as client:
        found = list(client.evaluation_sets(tenant))
    rows = ((one.name, one.revision, count, one.actor, one.created_at) for one, count in found)
    shown = [
        {"name": one.name, "revision": one.revision, "items": count, "digest": one.digest, "created_at": one.created_at}
        for one, count in found
    ]
    columns = ["set", "revision", "questions", "added by", "added"]
    session.show({"evaluation_sets": shown}, lambda: output.table(columns, rows, empty="no question sets yet"))


@command(evaluation, "show")
def show_set(
    session: Session,
    tenant: Tenant,
    name: Annotated[str, typer.Argument(help="Set name.", show_default=False)],
    revision: Annotated[int, typer.Option("--revision", min=0, help="Revision; 0 is the newest.")] = 0,
) -> None:
    """Show a set's questions."""
    from sealserve.cli import output

    with session.client() as client:
        kept = client.evaluation_set(tenant, name, revision=revision)
    rows = ((item.question, item.answer, item.matcher, item.pattern) for item in kept.items)
    session.show(kept, lambda: output.table(["question", "answer", "matcher", "pattern"], rows, empty=""))


def read_items(path: Path) -> list[EvaluationItem]:
    """Return the items of a JSONL file; empty lines are skipped. Raises: InvalidArgument, naming the line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"{path}: cannot be read as text", field="file") from error
    return [_item(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]


def _item(line: str, place: str) -> EvaluationItem:
    try:
        tree: dict[str, Any] = json.loads(line)
        item = EvaluationItem(**tree)
    except (ValueError, TypeError) as error:
        text = f'{place}: not an item; write {{"question": "…", "answer": "…"}}, optionally "matcher" and "pattern"'
        raise InvalidArgument(text, field="items") from error
    if not all(isinstance(value, str) for value in tree.values()):
        raise InvalidArgument(f"{place}: every value must be a string", field="items")
    if item.matcher not in ("contains", "exact", "regex"):
        raise InvalidArgument(
            f"{place}: matcher must be contains, exact or regex, not {item.matcher[:20]!r}", field="items"
        )
    return item
