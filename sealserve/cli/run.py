"""`sealserve up`, `serve`, `learn`, `web`, `demo`: what runs until it is told to stop, or until the story is told."""

import time
from pathlib import Path
from typing import Annotated

import typer

from sealserve.cli.extras import require
from sealserve.cli.session import Session, command

Model = Annotated[
    str | None,
    typer.Option("--model", help="'nano', or a Hugging Face causal LM: name or directory.", show_default=False),
]
DataDirectory = Annotated[
    Path | None, typer.Option("--data-directory", help="Database, artifacts, caches.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for function in (up, serve, learn, web):
        command(app, function.__name__, rich_help_panel="Run")(function)
    command(app, "demo", rich_help_panel="Start here")(demo)


def up(session: Session, model: Model = None, data_directory: DataDirectory = None) -> None:
    """Run `serve`, `learn` and `web` on this machine; restart the other two with back-off. Ends with Ctrl-C, SIGTERM.

    Answers begin a minute or so after the start: `sealserve doctor` says when. The page for approvals is at
    web.address.
    """
    began = time.monotonic()
    settings = session.settings(engine__model=model, data_directory=data_directory)
    require("server", *(() if settings.web.is_off else ("web",)))
    from sealserve.daemon.supervisor import run_up

    run_up(settings)
    _ended(session, "up", began)


def serve(
    session: Session,
    model: Model = None,
    data_directory: DataDirectory = None,
    engine_only: Annotated[
        bool, typer.Option("--engine-only", help="No tenants: only write and measure for `learn`.")
    ] = False,
) -> None:
    """Own the engine and answer tenants. Ends with Ctrl-C or SIGTERM, after running answers."""
    from sealserve.daemon.serve import run_serve

    began = time.monotonic()
    run_serve(session.settings(engine__model=model, data_directory=data_directory), engine_only=engine_only)
    _ended(session, "serve", began)


def learn(session: Session, data_directory: DataDirectory = None) -> None:
    """Run learning cycles through a server's engine. May be killed at any time and started again."""
    from sealserve.daemon.learn import run_learn

    began = time.monotonic()
    run_learn(session.settings(data_directory=data_directory))
    _ended(session, "learn", began)


def web(session: Session, data_directory: DataDirectory = None) -> None:
    """Show the page on which people decide held versions, at web.address. Asks the server at serve.address."""
    from sealserve.daemon.web import run_web

    began = time.monotonic()
    run_web(session.settings(data_directory=data_directory))
    _ended(session, "web", began)


def demo(
    session: Session,
    seed: Annotated[int, typer.Option(help="Which articles are made up.")] = 7,
    data_directory: DataDirectory = None,
    questions: Annotated[bool, typer.Option("--questions", help="Show every question and answer.")] = False,
) -> None:
    """Watch a model learn an article while it serves, per tenant, and unlearn it. Takes a few minutes."""
    require("server")
    from sealserve.demo import run_demo

    code = run_demo(json_output=session.json_output, seed=seed, data_directory=data_directory, questions=questions)
    raise typer.Exit(code)


def _ended(session: Session, what: str, began: float) -> None:
    result = {"ended": what, "seconds": round(time.monotonic() - began, 1)}
    session.show(result, lambda: f"{what} ended")
