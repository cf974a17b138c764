"""`sealserve ask`: ask the tenant's active version a question."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from sealserve.cli.session import Session, command
from sealserve.cli.tenant import Tenant

if TYPE_CHECKING:
    from sealserve.records.reports import AnswerEvent, Answering, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A whole answer with where it came from; `version` 0 is the base model."""

    text: str
    tenant: str
    version: int
    adapter: str
    activation: int
    request_id: str
    finish: str
    usage: "Usage"


def register(app: typer.Typer) -> None:
    """Add `ask` to `app`."""
    command(app, "ask", rich_help_panel="Use")(ask)


def ask(
    session: Session,
    tenant: Tenant,
    question: Annotated[str, typer.Argument(help="The question, or - for stdin.", show_default=False)],
    max_tokens: Annotated[int, typer.Option(help="Maximum length of the answer in tokens.")] = 256,
    temperature: Annotated[float, typer.Option(help="Sampling temperature; 0 is greedy.")] = 0.0,
    seed: Annotated[int | None, typer.Option(help="Random seed for reproducible sampling.", show_default=False)] = None,
    min_activation: Annotated[int, typer.Option(help="Fail until the server has reached this activation.")] = 0,
    sticky_key: Annotated[str, typer.Option(help="Same key, same version during a traffic split.")] = "",
    version: Annotated[
        int | None,
        typer.Option(help="Answer with this version and no other; 0 is the base model.", show_default=False),
    ] = None,
) -> None:
    """Ask the tenant's model. The answer is streamed to stdout, the version that gave it is printed to stderr."""
    asked = sys.stdin.read() if question == "-" else question
    with session.client() as client:
        events = client.stream(
            tenant,
            asked,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            min_activation=min_activation,
            sticky_key=sticky_key,
            version=version,
        )
        answer = _read(events, is_quiet=session.json_output)
    if session.json_output:
        session.show(answer, lambda: "")
    else:
        session.note(f"{answer.adapter}  {answer.usage.completion_tokens} tokens  {answer.request_id}")


def _read(events: "Iterable[AnswerEvent]", *, is_quiet: bool) -> Asked:
    """Read the stream to its end, writing pieces as they come unless `is_quiet`."""
    from sealserve.cli import output
    from sealserve.errors import EngineFailed
    from sealserve.records.reports import Answering, Ended, Piece

    answering: Answering | None = None
    pieces: list[str] = []
    for event in events:
        if isinstance(event, Answering):
            answering = event
        elif isinstance(event, Piece):
            pieces.append(event.text)
            sys.stdout.write("" if is_quiet else output.printable(event.text))
            sys.stdout.flush()
        elif isinstance(event, Ended) and answering is not None:
            sys.stdout.write("" if is_quiet else "\n")
            return _asked(answering, "".join(pieces), finish=event.finish.value, usage=event.usage)
    raise EngineFailed("the answer broke off before its end; try again")


def _asked(answering: "Answering", text: str, *, finish: str, usage: "Usage") -> Asked:
    from sealserve.cli import output

    return Asked(
        text=text,
        tenant=answering.tenant,
        version=answering.version,
        adapter=f"tenants/{answering.tenant}/adapters/{output.version_name(answering.version)}",
        activation=answering.activation,
        request_id=answering.request_id,
        finish=finish,
        usage=usage,
    )
