"""The model cache: one directory a model, `~/.cache/sealserve/models/NAME`, each with a note of where it came from.

A model appears under its name whole or not at all: it is prepared in a directory beside it and renamed.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sealserve.errors import AlreadyExists, BadConfig, InvalidArgument

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_NOTE = "sealserve-model.json"
_UNFINISHED = ".unfinished-"


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedModel:
    """A model in the cache. `sha256` is that of the file it was made from."""

    name: str
    source: str
    sha256: str
    licence: str
    bytes: int


def cache_directory() -> Path:
    """Return where models lie; it need not exist."""
    return Path.home() / ".cache" / "sealserve" / "models"


def find_model(name: str) -> Path | None:
    """Return the directory of the model `name`; None if it was not added."""
    if not NAME.fullmatch(name):
        return None
    directory = cache_directory() / name
    return directory if (directory / _NOTE).is_file() else None


def cached_models() -> tuple[CachedModel, ...]:
    """Return every model in the cache, by name. Raises: BadConfig (a note that cannot be read)."""
    notes = sorted(cache_directory().glob(f"[!.]*/{_NOTE}"))
    return tuple(map(_read_note, notes))


@contextmanager
def new_model(name: str, *, source: str, sha256: str, licence: str) -> Iterator[Path]:
    """Give an empty directory to fill; it is the model `name` once the block ends without an error.

    Raises: InvalidArgument (name), AlreadyExists.
    """
    if not NAME.fullmatch(name) or name == "nano":
        raise InvalidArgument(
            f"{name!r} is no name for a model: use small letters, digits, '.', '_' and '-', and not 'nano'",
            field="name",
        )
    if find_model(name) is not None:
        raise AlreadyExists(name, kind="model")
    cache_directory().mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}{name}-", dir=cache_directory()))
    try:
        yield aside
        size = sum(file.stat().st_size for file in aside.rglob("*") if file.is_file())
        note = CachedModel(name=name, source=source, sha256=sha256, licence=licence, bytes=size)
        (aside / _NOTE).write_text(json.dumps(asdict(note), indent=1) + "\n", encoding="utf-8")
        _flush(aside)
        try:
            aside.rename(cache_directory() / name)
        except OSError as error:
            raise AlreadyExists(name, kind="model") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _flush(directory: Path) -> None:
    """Write the directory's files to disk before it is renamed: a crash leaves no model with empty weights."""
    for file in (*directory.iterdir(), directory):
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read_note(path: Path) -> CachedModel:
    try:
        return CachedModel(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise BadConfig(f"{path} cannot be read; delete {path.parent} and add the model again") from error
