"""`sealserve up`, `serve`, `learn`, `web` and `demo`: the processes of the daemon, and the demo."""

import time
from pathlib import Path
from typing import Annotated

import typer

from sealserve.cli.extras import require
from sealserve.cli.session import Session, command

Model = Annotated[
    str | None,
    typer.Option("--model", help="'nano', or the name or directory of a Hugging Face causal LM.", show_default=False),
]
DataDirectory = Annotated[
    Path | None,
    typer.Option("--data-directory", help="Database, artifacts and caches.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for function in (up, serve, learn, web):
        command(app, function.__name__, rich_help_panel="Run")(function)
    command(app, "demo", rich_help_panel="Start here")(demo)


def up(session: Session, model: Model = None, data_directory: DataDirectory = None) -> None:
    """Run `serve`, `learn` and `web` on this machine; restart `learn` and `web` with back-off. Stop with Ctrl-C.

    The engine takes about a minute to start; `sealserve doctor` shows whether it is ready. The approvals page is at
    web.address.
    """
    began = time.monotonic()
    settings = session.settings(engine__model=model, data_directory=data_directory)
    require("server", *(() if settings.web.is_off and settings.http.is_off else ("web",)))
    from sealserve.daemon.supervisor import run_up

    run_up(settings)
    _ended(session, "up", began)


def serve(
    session: Session,
    model: Model = None,
    data_directory: DataDirectory = None,
    engine_only: Annotated[
        bool, typer.Option("--engine-only", help="Serve only the internal EngineService (no tenant traffic).")
    ] = False,
) -> None:
    """Run the engine, the gRPC server and OpenAI's API over HTTP (http.address).

    Ctrl-C or SIGTERM stops it after running requests have finished.
    """
    from sealserve.daemon.serve import run_serve

    began = time.monotonic()
    run_serve(session.settings(engine__model=model, data_directory=data_directory), engine_only=engine_only)
    _ended(session, "serve", began)


def learn(session: Session, data_directory: DataDirectory = None) -> None:
    """Run learning cycles through a server's engine. It can be killed and restarted at any time."""
    from sealserve.daemon.learn import run_learn

    began = time.monotonic()
    run_learn(session.settings(data_directory=data_directory))
    _ended(session, "learn", began)


def web(session: Session, data_directory: DataDirectory = None) -> None:
    """Serve the approvals page at web.address, as a client of the server at serve.address."""
    from sealserve.daemon.web import run_web

    began = time.monotonic()
    run_web(session.settings(data_directory=data_directory))
    _ended(session, "web", began)


def demo(
    session: Session,
    model: Annotated[
        str, typer.Option(help="Base model: nano, or one of `sealserve model list`, which learns English articles.")
    ] = "nano",
    seed: Annotated[int, typer.Option(help="Random seed of the generated articles (nano).")] = 7,
    data_directory: DataDirectory = None,
    questions: Annotated[bool, typer.Option("--questions", help="Show all questions and answers.")] = False,
) -> None:
    """Watch a model learn and unlearn an article while it serves. Takes a few minutes."""
    require("server")
    from sealserve.base_models.cache import find_model
    from sealserve.base_models.catalogue import KNOWN_MODELS
    from sealserve.cli.model import add_known
    from sealserve.demo import run_demo

    if model in KNOWN_MODELS and find_model(model) is None:
        add_known(session, KNOWN_MODELS[model], name=model)

    code = run_demo(
        model=model,
        json_output=session.json_output,
        seed=seed,
        data_directory=data_directory,
        questions=questions,
    )
    raise typer.Exit(code)


def _ended(session: Session, name: str, began: float) -> None:
    result = {"ended": name, "seconds": round(time.monotonic() - began, 1)}
    session.show(result, lambda: f"{name} has stopped")
