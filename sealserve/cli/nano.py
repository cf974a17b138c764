"""`sealserve nano`: the embedded model."""

from typing import Annotated

import typer

from sealserve.cli.bench import _show
from sealserve.cli.session import Session, command

nano = typer.Typer(help="The embedded model.", no_args_is_help=True)


@nano.callback()
def about() -> None:
    """The embedded model."""


@command(nano, "eval")
def evaluate(
    session: Session,
    seed: Annotated[int, typer.Option(help="Which fresh entities are made up.")] = 0,
    injections: Annotated[int, typer.Option(min=1, help="Articles written into adapters.")] = 4,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
) -> None:
    """Measure it on entities and templates it never saw: reading, "I don't know", self-edits, learning. Minutes."""
    from sealserve.nano.evaluate import evaluate as measure
    from sealserve.nano.model import weights_dir

    _show(session, measure(weights_dir(), seed=seed, injections=injections, threads=threads).as_json())
