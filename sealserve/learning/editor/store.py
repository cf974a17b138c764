"""A tenant's editors: which adapter writes its self-edits, where it came from, and what every round cost.

There is one JSON file per tenant beside the registry's data, replaced atomically. The adapters are artifacts, named by
digest. No text of a document is stored here.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sealserve.atomic_files import replace_file
from sealserve.canonical import Json
from sealserve.engine.base_model import base_shape
from sealserve.engine.engine import AdapterFiles
from sealserve.errors import LeaseLost, NotFound, StorageFailed
from sealserve.learning.context import LearnContext
from sealserve.learning.editor.costs import Cost, Spent
from sealserve.learning.engine_client import candidate_name
from sealserve.prompts import Template
from sealserve.records.candidates import Recipe
from sealserve.records.documents import DocumentState
from sealserve.records.scores import Measured

BASE_EDITOR = 0
"""The version number of "the base model writes"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrial:
    """One trial of a round: how it was trained, how it did on each half of the quiz, whether an editor learned it.

    Of a directive what it asked for is kept, as the recipe that came of it, and not its words.
    """

    document: str
    sample: int
    is_directed: bool  # by its editor; else the recipe is the round's own
    recipe: Recipe
    templates: tuple[Template, ...]  # of the edits that it was asked for
    admitted: int  # notes trained on
    select: float  # mean clipped log p of the answers
    confirm: float  # share right
    is_winner: bool


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
    learned: int = 0  # documents that the tenant had learned by then
    trials: tuple[RoundTrial, ...] = ()


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
        replace_file(path, f"{text}\n".encode(), mode=0o600)
    except OSError as error:
        raise StorageFailed(f"{path} cannot be written: {error.strerror}") from error


def keep_round(context: LearnContext, tenant: str, done: Round, *, over: Editors, archive: tuple[Json, ...]) -> None:
    """Have `done` on disk after what is known; `over` is what the round began with, its fence.

    Raises: LeaseLost (another round or a forgotten document has changed it since), NotFound (the new editor's adapter
    is gone), StorageFailed; then nothing is changed.
    """
    with _locked(context):
        if read_editors(context.settings.data_directory, tenant) != over:
            raise LeaseLost(f"what is known of {tenant}'s editors changed during round {done.round}; it is not kept")
        if done.artifact:
            context.registry.artifacts.verify(done.artifact)
        write_editors(context.settings.data_directory, tenant, replace(over.after(done), archive=archive))


def drop_editor(context: LearnContext, tenant: str, artifact: str) -> None:
    """Delete the adapter of an editor, unless a round of the tenant has kept the same. Raises: StorageFailed."""
    with _locked(context):
        if artifact not in {one.artifact for one in read_editors(context.settings.data_directory, tenant).rounds}:
            context.registry.artifacts.delete(artifact)


def settle(context: LearnContext, tenant: str) -> Editors:
    """Return the tenant's editors without those that learned from a document that is forgotten now.

    Their adapters are deleted, and the newest promoted editor that is left is the active one, or the base.
    Raises: StorageFailed.
    """
    editors = read_editors(context.settings.data_directory, tenant)
    if not _find_forgotten(context, tenant, editors):
        return editors
    with _locked(context):
        editors = read_editors(context.settings.data_directory, tenant)
        gone = _find_forgotten(context, tenant, editors)
        for one in editors.rounds:
            if one.artifact and gone & set(one.documents):
                context.registry.artifacts.delete(one.artifact)
        kept = without(editors, gone)
        write_editors(context.settings.data_directory, tenant, kept)
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


@contextmanager
def active_editor(context: LearnContext, tenant: str, *, cycle: str) -> Iterator[AdapterFiles | None]:
    """Give the tenant's promoted editor inside the block, under a name of that cycle's; None: the base writes.

    An editor of another base model is not one of this one's. Raises: StorageFailed, CorruptArtifact, NotFound.
    """
    editors = settle(context, tenant)
    active = next((one for one in editors.rounds if one.round == editors.active), None)
    if active is None or active.base_digest != base_shape(context.base_directory).digest:
        yield None
        return
    with context.registry.artifacts.materialise(active.artifact) as path:
        yield AdapterFiles(name=candidate_name(cycle, "editor", artifact=active.artifact), path=path)


@contextmanager
def _locked(context: LearnContext) -> Iterator[None]:
    """Let one process at a time read and then write; the system frees the lock of one that dies.

    Raises: StorageFailed.
    """
    directory = _path(context.settings.data_directory, "").parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory, os.O_RDONLY)
    except OSError as error:
        raise StorageFailed(f"{directory} cannot be locked: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _find_forgotten(context: LearnContext, tenant: str, editors: Editors) -> set[str]:
    learned = {document for one in editors.rounds if one.artifact for document in one.documents}
    return {document for document in learned if _is_forgotten(context, tenant, document)}


def _is_forgotten(context: LearnContext, tenant: str, document: str) -> bool:
    try:
        return context.registry.documents.get(tenant, document).state is DocumentState.FORGOTTEN
    except NotFound:
        return True


def _path(data_directory: Path, tenant: str) -> Path:
    return data_directory.absolute() / "editors" / f"{tenant}.json"
