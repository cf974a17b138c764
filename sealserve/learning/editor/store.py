"""A tenant's editors: which adapter writes its self-edits, where it came from, and what every round cost.

It is recorded in the registry. The adapters are artifacts, named by digest. No text of a document is stored here.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from sealserve.canonical import Json
from sealserve.engine.base_model import base_shape
from sealserve.engine.engine import AdapterFiles
from sealserve.errors import Conflict, LeaseLost, NotFound, StorageFailed
from sealserve.learning.context import LearnContext
from sealserve.learning.editor.costs import Cost, Spent
from sealserve.learning.engine_client import candidate_name
from sealserve.prompts import Template
from sealserve.records.candidates import Recipe
from sealserve.records.documents import DocumentState
from sealserve.records.editors import StoredEditors
from sealserve.records.scores import Measured
from sealserve.registry.registry import Registry
from sealserve.telemetry.names import LogEvent

_LOG = structlog.get_logger(__name__)

ACTOR = "learn"
"""Who the audit log names for rounds."""

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


def read_editors(registry: Registry, tenant: str) -> Editors:
    """Return what is known of the tenant's editors; nothing when there was no round. Raises: StorageFailed."""
    return _editors(registry.editors.get(tenant), tenant)


def keep_round(context: LearnContext, tenant: str, done: Round, *, over: Editors, archive: tuple[Json, ...]) -> None:
    """Record `done` after what is known; `over` is what the round began with, its fence.

    Raises: LeaseLost (another round or a forgotten document has changed it since), NotFound (the new editor's adapter
    is gone), StorageFailed; then nothing is changed.
    """
    registry = context.registry
    before = registry.editors.get(tenant)
    lost = LeaseLost(f"what is known of {tenant}'s editors changed during round {done.round}; it is not kept")
    if _editors(before, tenant) != over:
        raise lost
    added = [done.artifact] if done.artifact else []
    for digest in added:
        registry.artifacts.verify(digest)
    new = _stored(replace(over.after(done), archive=archive))
    try:
        registry.editors.replace(tenant, new, over=before, actor=ACTOR, added=added)
    except Conflict as error:
        raise lost from error


def drop_editor(context: LearnContext, artifact: str) -> None:
    """Delete the adapter of an editor, unless a round has kept the same. Raises: StorageFailed."""
    context.registry.artifact_gc.delete_unnamed(artifact)


def settle(context: LearnContext, tenant: str) -> Editors:
    """Return the tenant's editors without those that learned from a document that is forgotten now.

    Their adapters are deleted, and the newest promoted editor that is left is the active one, or the base.
    Raises: StorageFailed.
    """
    while True:
        stored = context.registry.editors.get(tenant)
        editors = _editors(stored, tenant)
        gone = _find_forgotten(context, tenant, editors)
        if not gone:
            return editors
        kept = without(editors, gone)
        with suppress(Conflict):  # a round ended meanwhile: look again
            context.registry.editors.replace(tenant, _stored(kept), over=stored, actor=ACTOR, action="editor.forget")
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


def _find_forgotten(context: LearnContext, tenant: str, editors: Editors) -> set[str]:
    learned = {document for one in editors.rounds if one.artifact for document in one.documents}
    return {document for document in learned if _is_forgotten(context, tenant, document)}


def _is_forgotten(context: LearnContext, tenant: str, document: str) -> bool:
    try:
        return context.registry.documents.get(tenant, document).state is DocumentState.FORGOTTEN
    except NotFound:
        return True


def take_in_files(registry: Registry, data_directory: Path) -> None:
    """Record editors that earlier releases kept as files, unless the tenant's are recorded. Raises: StorageFailed.

    The files stay where they are and are not read again. One that cannot be read, or whose tenant does not exist, is
    passed over with a warning.
    """
    for path in sorted((data_directory / "editors").glob("*.json")):
        tenant = path.stem
        try:
            if registry.editors.get(tenant) is None:
                found = _stored(TypeAdapter(Editors).validate_json(path.read_bytes()))
                registry.editors.replace(tenant, found, over=None, actor=ACTOR, action="editor.import")
        except Conflict:
            continue  # another process has just done it
        except (OSError, ValidationError, NotFound) as error:
            _LOG.warning(LogEvent.EDITOR_FILE_REFUSED, path=str(path), error_type=type(error).__name__)


def _editors(stored: StoredEditors | None, tenant: str) -> Editors:
    if stored is None:
        return Editors()
    tree = {"active": stored.active, "rounds": stored.rounds, "archive": stored.archive}
    try:
        return TypeAdapter(Editors).validate_python(tree)
    except ValidationError as error:
        raise StorageFailed(f"what is recorded of {tenant}'s editors cannot be read by this release") from error


def _stored(editors: Editors) -> StoredEditors:
    tree = TypeAdapter(Editors).dump_python(editors, mode="json")
    return StoredEditors(active=tree["active"], rounds=tuple(tree["rounds"]), archive=tuple(tree["archive"]))
