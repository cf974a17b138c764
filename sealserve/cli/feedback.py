"""`sealserve feedback`: ratings and corrections of answers."""

from typing import Annotated

import typer

from sealserve.cli.session import Session, command
from sealserve.cli.tenant import Tenant
from sealserve.records.feedback import Opinion, Thumb, VersionFeedback

feedback = typer.Typer(help="Rate answers, and correct them; versions are measured against the corrections.")


@command(feedback, "add")
def add_feedback(
    session: Session,
    tenant: Tenant,
    answer: Annotated[str, typer.Argument(help="Request id of the answer.", show_default=False)],
    thumb: Annotated[Thumb, typer.Argument(help="Rating.", show_default=False)],
    version: Annotated[int, typer.Option("--version", min=0, help="Version that answered; 0 is the base model.")] = 0,
    question: Annotated[str, typer.Option("--question", help="The question; required with --correction.")] = "",
    correction: Annotated[str, typer.Option("--correction", help="The right answer, in a few words.")] = "",
) -> None:
    """Rate an answer, once. `sealserve ask --json` shows its request id and version."""
    from sealserve.cli import output

    opinion = Opinion(answer_request=answer, version=version, thumb=thumb, question=question, correction=correction)
    with session.client() as client:
        kept = client.give_feedback(tenant, opinion)
    session.show(kept, lambda: output.printable(f"recorded as {kept.feedback}"))


@command(feedback, "list")
def list_feedback(session: Session, tenant: Tenant) -> None:
    """List feedback, newest first, and the thumb counts per version."""
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
            output.table(["version", "up", "down", "share up", "interval"], counted, empty=""),
        ),
    )


def _liked(one: VersionFeedback) -> dict[str, float]:
    """Return the share of thumbs up with its 95 % Wilson interval."""
    from sealserve.gate.intervals import wilson

    low, high = wilson(one.up, one.up + one.down, confidence=0.95)
    return {"share": one.up / (one.up + one.down), "low": low, "high": high}
