"""`sealserve feedback` and `sealserve evaluation`: what people give to measure by."""

from typing import Annotated

import typer

from sealserve.cli.session import Session, command
from sealserve.cli.tenant import Tenant
from sealserve.records.feedback import Opinion, Thumb, VersionFeedback

feedback = typer.Typer(help="What people think of answers: thumbs, and corrections that versions are measured by.")


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
    from sealserve.cli import output

    opinion = Opinion(answer_request=answer, version=version, thumb=thumb, question=question, correction=correction)
    with session.client() as client:
        kept = client.give_feedback(tenant, opinion)
    session.show(kept, lambda: output.printable(f"kept as {kept.feedback}"))


@command(feedback, "list")
def list_feedback(session: Session, tenant: Tenant) -> None:
    """List what people said, newest first, and the thumbs of each version."""
    from rich.console import Group

    from sealserve.cli import output

    with session.client() as client:
        found, versions = list(client.feedback(tenant)), client.version_feedback(tenant)
    rows = (
        (one.created_at, one.actor, output.version_name(one.opinion.version), one.opinion.thumb, one.opinion.question,
         one.opinion.correction)
        for one in found
    )  # fmt: skip
    scores = [{**output.plain(one), **_liked(one)} for one in versions]
    counted = (
        (
            output.version_name(one.version),
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
            output.table(
                ["when", "who", "version", "thumb", "question", "right answer"], rows, empty="no feedback yet"
            ),
            output.table(["version", "up", "down", "liked", "interval"], counted, empty=""),
        ),
    )


def _liked(one: VersionFeedback) -> dict[str, float]:
    """A version's score by people: the share of thumbs up, with Wilson's 95 % interval."""
    from sealserve.gate.intervals import wilson

    low, high = wilson(one.up, one.up + one.down, confidence=0.95)
    return {"share": one.up / (one.up + one.down), "low": low, "high": high}
