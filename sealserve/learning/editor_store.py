"""A tenant's editors: which adapter writes its self-edits, where it came from, and what every round cost.

One JSON file a tenant beside the registry's data, written aside and renamed; the adapters themselves are artifacts,
by digest. Knows nothing of how editors are made or judged.
"""

import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sealserve.engine.base_model import base_shape
from sealserve.engine.engine import AdapterFiles
from sealserve.errors import StorageFailed
from sealserve.learning.costs import Cost, Spent
from sealserve.learning.workshop import Workshop
from sealserve.records import Json, Measured

BASE_EDITOR = 0
"""The version number of "the base model writes"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round of the outer loop, promoted or not. `gain` is on documents that neither editor was trained on."""

    round: int
    parent: int  # the editor that wrote its trials
    artifact: str  # the new editor; "" when the round made none
    documents: tuple[str, ...]  # whose trials were trained on
    held_out: tuple[str, ...]  # whose trials judged it
    winners: int
    gain: Measured | None
    is_promoted: bool
    reason: str
    cost: Cost
    base_digest: str
    settings_digest: str
    finished_at: str  # ISO 8601, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A study prompt and what a winner wrote: later rounds learn from them too."""

    document: str
    prompt: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Editors:
    """Everything that is known of a tenant's editors. `active` is the round whose editor writes, or BASE_EDITOR."""

    active: int = BASE_EDITOR
    rounds: tuple[Round, ...] = ()
    winners: tuple[Turn, ...] = ()
    archive: tuple[Json, ...] = ()

    def after(self, done: Round, winners: tuple[Turn, ...]) -> "Editors":
        """Return the editors once `done` has ended; a promoted round's editor is the active one."""
        active = done.round if done.is_promoted else self.active
        return replace(self, active=active, rounds=(*self.rounds, done), winners=(*self.winners, *winners))

    @property
    def spent(self) -> tuple[Spent, ...]:
        """What each round cost and confirmed."""
        return tuple(Spent(cost=r.cost, gain=r.gain.gain if r.gain else None) for r in self.rounds)


def read_editors(data_directory: Path, tenant: str) -> Editors:
    """Return what is known of the tenant's editors; nothing when there was no round. Raises: StorageFailed."""
    path = _path(data_directory, tenant)
    try:
        return TypeAdapter(Editors).validate_json(path.read_bytes())
    except FileNotFoundError:
        return Editors()
    except (OSError, ValidationError) as error:
        raise StorageFailed(f"{path} cannot be read as a tenant's editors; remove it to start from the base") from error


def write_editors(data_directory: Path, tenant: str, editors: Editors) -> None:
    """Have `editors` on disk, whole or not at all. Raises: StorageFailed."""
    path = _path(data_directory, tenant)
    text = json.dumps(TypeAdapter(Editors).dump_python(editors, mode="json"), indent=1, sort_keys=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{tenant}-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(aside).rename(path)
    except OSError as error:
        raise StorageFailed(f"{path} cannot be written: {error.strerror}") from error


def active_editor(shop: Workshop, tenant: str) -> AdapterFiles | None:
    """Return the tenant's promoted editor, checked against its digest; None: the base writes.

    An editor of another base model is not one of this one's. Raises: StorageFailed, CorruptArtifact, NotFound.
    """
    editors = read_editors(shop.settings.data_directory, tenant)
    active = next((one for one in editors.rounds if one.round == editors.active), None)
    if active is None or active.base_digest != base_shape(shop.base_directory).digest:
        return None
    return editor_files(shop, tenant, active)


def editor_files(shop: Workshop, tenant: str, of: Round) -> AdapterFiles:
    """Return a round's editor under its engine name, new for new contents."""
    path = shop.registry.artifacts.directory(of.artifact)
    return AdapterFiles(name=f"editor-{tenant}-{of.round}-{of.artifact[:12]}", path=path)


def _path(data_directory: Path, tenant: str) -> Path:
    return data_directory.absolute() / "editors" / f"{tenant}.json"
