"""`sealserve feedback` and `sealserve evaluation`: what people give to measure by."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sealserve.commands.session import Session, command
from sealserve.commands.tenants import Tenant
from sealserve.errors import InvalidArgument
from sealserve.records.feedback import Opinion, Thumb, VersionFeedback
from sealserve.records.question_sets import EvaluationItem

feedback = typer.Typer(help="What people think of answers: thumbs, and corrections that versions are measured by.")
evaluation = typer.Typer(help="A tenant's own questions with right answers: asked before self-made quizzes.")


@command(feedback, "add")
def add_feedback(
    session: Session,
    tenant: Tenant,
    answer: Annotated[str, typer.Argument(help="Request id that the answer carried.", show_default=False)],
    thumb: Annotated[Thumb, typer.Argument(help="What you think of it.", show_default=False)],
    version: Annotated[int, typer.Option("--version", min=0, help="Version that gave it; 0: the base.")] = 0,
    question: Annotated[str, typer.Option("--question", help="What was asked; needed with --correction.")] = "",
    correction: Annotated[str, typer.Option("--correction", help="The right answer: a few words.")] = "",
) -> None:
    """Say what you think of an answer: once for each. `sealserve ask --json` shows its request id and version."""
    from sealserve.commands import show

    opinion = Opinion(answer_request=answer, version=version, thumb=thumb, question=question, correction=correction)
    with session.client() as client:
        kept = client.give_feedback(tenant, opinion)
    session.show(kept, lambda: show.printable(f"kept as {kept.feedback}"))


@command(feedback, "list")
def list_feedback(session: Session, tenant: Tenant) -> None:
    """List what people said, newest first, and the thumbs of each version."""
    from rich.console import Group

    from sealserve.commands import show

    with session.client() as client:
        found, versions = list(client.feedback(tenant)), client.version_feedback(tenant)
    rows = (
        (one.created_at, one.actor, show.version_name(one.opinion.version), one.opinion.thumb, one.opinion.question,
         one.opinion.correction)
        for one in found
    )  # fmt: skip
    scores = [{**show.plain(one), **_liked(one)} for one in versions]
    counted = (
        (
            show.version_name(one.version),
            one.up,
            one.down,
            f"{liked['share']:.2f}",
            f"{liked['low']:.2f} … {liked['high']:.2f}",
        )
        for one, liked in zip(versions, map(_liked, versions), strict=True)
    )
    session.show(
        {"feedback": found, "versions": scores},
        lambda: Group(
            show.table(["when", "who", "version", "thumb", "question", "right answer"], rows, empty="no feedback yet"),
            show.table(["version", "up", "down", "liked", "interval"], counted, empty=""),
        ),
    )


@command(evaluation, "add")
def add_set(
    session: Session,
    tenant: Tenant,
    name: Annotated[str, typer.Argument(help="The set's name.", show_default=False)],
    file: Annotated[
        Path, typer.Argument(help="JSONL: question, answer, and matcher or pattern if wanted.", show_default=False)
    ],
) -> None:
    """Keep a set of questions with right answers; other contents under the same name are a new revision.

    One JSON object a line: {"question", "answer"}, and "matcher": contains (default), exact, or regex with "pattern".
    """
    from sealserve.commands import show

    with session.client() as client:
        kept, is_new = client.add_evaluation_set(tenant, name, read_items(file))
    text = f"{kept.name} revision {kept.revision}: {len(kept.items)} questions{'' if is_new else ', known already'}"
    session.show({**show.plain(kept), "already_known": not is_new}, lambda: show.printable(text))


@command(evaluation, "list")
def list_sets(session: Session, tenant: Tenant) -> None:
    """List every revision of a tenant's sets, newest first."""
    from sealserve.commands import show

    with session.client() as client:
        found = list(client.evaluation_sets(tenant))
    rows = ((one.name, one.revision, count, one.actor, one.created_at) for one, count in found)
    shown = [
        {"name": one.name, "revision": one.revision, "items": count, "digest": one.digest, "created_at": one.created_at}
        for one, count in found
    ]
    columns = ["set", "revision", "questions", "added by", "added"]
    session.show({"evaluation_sets": shown}, lambda: show.table(columns, rows, empty="no evaluation sets yet"))


@command(evaluation, "show")
def show_set(
    session: Session,
    tenant: Tenant,
    name: Annotated[str, typer.Argument(help="The set's name.", show_default=False)],
    revision: Annotated[int, typer.Option("--revision", min=0, help="Which revision; 0: the newest.")] = 0,
) -> None:
    """Show a set's questions."""
    from sealserve.commands import show

    with session.client() as client:
        kept = client.evaluation_set(tenant, name, revision=revision)
    rows = ((item.question, item.answer, item.matcher, item.pattern) for item in kept.items)
    session.show(kept, lambda: show.table(["question", "answer", "matcher", "pattern"], rows, empty=""))


def _liked(one: VersionFeedback) -> dict[str, float]:
    """A version's score by people: the share of thumbs up, with Wilson's 95 % interval."""
    from sealserve.gate.statistics import wilson

    low, high = wilson(one.up, one.up + one.down, confidence=0.95)
    return {"share": one.up / (one.up + one.down), "low": low, "high": high}


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
        text = f'{place}: not an item; write {{"question": "…", "answer": "…"}}, and "matcher" and "pattern" if wanted'
        raise InvalidArgument(text, field="items") from error
    if not all(isinstance(value, str) for value in tree.values()):
        raise InvalidArgument(f"{place}: every value is text in quotes", field="items")
    if item.matcher not in ("contains", "exact", "regex"):
        raise InvalidArgument(f"{place}: matcher is contains, exact or regex, not {item.matcher[:20]!r}", field="items")
    return item
