"""A tenant's editors: which adapter writes its self-edits, where it came from, and what every round cost.

One JSON file a tenant beside the registry's data, written aside and renamed; the adapters themselves are artifacts,
by digest. No text of a document is kept here. Knows nothing of how editors are made or judged.
"""

import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sealserve.engine.base_model import base_shape
from sealserve.engine.engine import AdapterFiles
from sealserve.errors import NotFound, StorageFailed
from sealserve.learning.costs import Cost, Spent
from sealserve.learning.voice import candidate_name
from sealserve.learning.workshop import Workshop
from sealserve.records import DocumentState, Json, Measured

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
class Editors:
    """Everything that is known of a tenant's editors. `active` is the round whose editor writes, or BASE_EDITOR."""

    active: int = BASE_EDITOR
    rounds: tuple[Round, ...] = ()
    archive: tuple[Json, ...] = ()

    def after(self, done: Round) -> "Editors":
        """Return the editors once `done` has ended; a promoted round's editor is the active one."""
        active = done.round if done.is_promoted else self.active
        return replace(self, active=active, rounds=(*self.rounds, done))

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


def settle(shop: Workshop, tenant: str) -> Editors:
    """Return the tenant's editors without those that learned from a document that is forgotten now.

    Their adapters are deleted, and the newest promoted editor that is left is the active one, or the base.
    Raises: StorageFailed.
    """
    editors = read_editors(shop.settings.data_directory, tenant)
    learned = {document for one in editors.rounds if one.artifact for document in one.documents}
    gone = {document for document in learned if _is_forgotten(shop, tenant, document)}
    if not gone:
        return editors
    for one in editors.rounds:
        if one.artifact and gone & set(one.documents):
            shop.registry.artifacts.delete(one.artifact)
    kept = without(editors, gone)
    write_editors(shop.settings.data_directory, tenant, kept)
    return kept


def without(editors: Editors, gone: set[str]) -> Editors:
    """Return the editors once those that learned from `gone` are no longer. Pure."""
    rounds = tuple(
        replace(one, artifact="", is_promoted=False, reason="a document it learned from was forgotten")
        if one.artifact and gone & set(one.documents)
        else one
        for one in editors.rounds
    )
    return replace(
        editors, rounds=rounds, active=max((one.round for one in rounds if one.is_promoted), default=BASE_EDITOR)
    )


def active_editor(shop: Workshop, tenant: str, *, cycle: str) -> AdapterFiles | None:
    """Return the tenant's promoted editor, checked, under a name of that cycle's; None: the base writes.

    An editor of another base model is not one of this one's. Raises: StorageFailed, CorruptArtifact, NotFound.
    """
    editors = settle(shop, tenant)
    active = next((one for one in editors.rounds if one.round == editors.active), None)
    if active is None or active.base_digest != base_shape(shop.base_directory).digest:
        return None
    path = shop.registry.artifacts.directory(active.artifact)
    return AdapterFiles(name=candidate_name(cycle, "editor", artifact=active.artifact), path=path)


def _is_forgotten(shop: Workshop, tenant: str, document: str) -> bool:
    try:
        return shop.registry.document(tenant, document).state is DocumentState.FORGOTTEN
    except NotFound:
        return True


def _path(data_directory: Path, tenant: str) -> Path:
    return data_directory.absolute() / "editors" / f"{tenant}.json"
