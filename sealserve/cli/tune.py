"""`sealserve tune`: the learning rate of a base model, by short trials."""

from typing import Annotated

import typer

from sealserve.cli.extras import require
from sealserve.cli.session import Session, command


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    command(app, "tune", rich_help_panel="Run")(tune)


def tune(
    session: Session,
    model: Annotated[
        str | None, typer.Option("--model", help="Base model, as engine.model names it.", show_default=False)
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps of each trial.")] = 60,
) -> None:
    """Find the learning rate of a base model: train at three rates on shipped passages and compare.

    Minutes on a GPU, up to an hour on a few cores. The best rate becomes the default of learn.training.learning_rate
    for this model on this machine; a rate in the settings file stays.
    """
    require("server", "train")
    import asyncio

    from sealserve.cli import output
    from sealserve.daemon.workbench import tune_base

    settings = session.settings(engine__model=model)
    tuned, profile = asyncio.run(tune_base(settings, steps=steps, say=session.note))
    notes = list(tuned.notes)
    if "learning_rate" in settings.learn.training.model_fields_set:
        notes.append("learn.training.learning_rate is set in the settings, and stays in force")
    shown = {**output.plain(tuned), "notes": notes, "origin": profile.origin}
    rows = [
        (f"{trial.learning_rate:g}", trial.right, trial.lost, "chosen" if is_chosen else "")
        for trial in tuned.trials
        for is_chosen in (trial.learning_rate == tuned.learning_rate,)
    ]
    for note in notes:
        session.note(note)
    session.show(shown, lambda: output.table(["learning rate", "right", "lost", ""], rows, empty=""))
