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
    seed: Annotated[int, typer.Option(help="Random seed of the generated entities.")] = 0,
    injections: Annotated[int, typer.Option(min=1, help="Number of articles trained into adapters.")] = 4,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
) -> None:
    """Evaluate it on unseen entities and templates: reading, abstention, self-edits, learning. Takes minutes."""
    from sealserve.nano.evaluate import evaluate as measure
    from sealserve.nano.model import weights_dir

    _show(session, measure(weights_dir(), seed=seed, injections=injections, threads=threads).as_json())
