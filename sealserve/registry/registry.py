"""The registry's public face: the only way serve and learn meet.

Every method of its parts is one short transaction (law 6); slow work never happens inside. Synchronous: asyncio
callers use `asyncio.to_thread`. Every method may raise StorageFailed; refused calls change nothing.
"""

from datetime import timedelta
from pathlib import Path
from typing import Self

from sealserve.registry import journal
from sealserve.registry.artifacts.artifact_gc import ArtifactGc
from sealserve.registry.artifacts.artifact_store import ArtifactStore
from sealserve.registry.artifacts.object_artifacts import open_artifacts
from sealserve.registry.audit import AuditTrail
from sealserve.registry.cycles.cycles import Cycles
from sealserve.registry.cycles.imports import Imports
from sealserve.registry.documents.documents import Documents
from sealserve.registry.documents.subjects import DocumentSubjects
from sealserve.registry.editors import EditorStore
from sealserve.registry.evaluation.answer_log import GivenAnswers
from sealserve.registry.evaluation.canary_suites import CanarySuites
from sealserve.registry.evaluation.feedback import FeedbackStore
from sealserve.registry.evaluation.question_sets import QuestionSets
from sealserve.registry.evaluation.score_cache import CachedScores
from sealserve.registry.issued_tokens import IssuedTokens
from sealserve.registry.policy_decisions import PolicyDecisions
from sealserve.registry.replicas import Replicas
from sealserve.registry.rollouts.rollouts import Rollouts
from sealserve.registry.sources import Sources
from sealserve.registry.sql import copies, schema
from sealserve.registry.sql.database import BUSY_SECONDS, Clock, Database
from sealserve.registry.sql.tables import requests, rulings
from sealserve.registry.step_effects import (
    AddCandidates,
    AddPolicyDecisions,
    AddQuiz,
    AddSelfEdits,
    Effect,
    Finish,
    HoldDocument,
    Publish,
)
from sealserve.registry.tenants import Tenants
from sealserve.registry.tokens import Tokens
from sealserve.registry.trusted_keys import TrustedKeys
from sealserve.registry.unlearning import Unlearning
from sealserve.registry.versions.approvals import Approvals
from sealserve.registry.versions.desired import DesiredVersions
from sealserve.registry.versions.history import StudyHistory
from sealserve.registry.versions.versions import Versions
from sealserve.settings.limits import LimitSettings
from sealserve.settings.settings import Settings

__all__ = [
    "AddCandidates",
    "AddPolicyDecisions",
    "AddQuiz",
    "AddSelfEdits",
    "CachedScores",
    "Effect",
    "Finish",
    "HoldDocument",
    "Publish",
    "Registry",
]


class Registry:
    """All state of an installation, in one database and one artifact store. Safe to use from many threads."""

    def __init__(self, database: Database, artifacts: ArtifactStore, limits: LimitSettings | None = None) -> None:
        """`limits` say how much a tenant may keep."""
        limits = limits or LimitSettings()
        self._database = database
        self.artifacts = artifacts
        self.artifact_gc = ArtifactGc(database, artifacts)
        self.audit = AuditTrail(database)
        self.tenants = Tenants(database)
        self.tokens = Tokens(database, limits)
        self.issued_tokens = IssuedTokens(database)
        self.trusted_keys = TrustedKeys(database)
        self.documents = Documents(database, artifacts, limits)
        self.subjects = DocumentSubjects(database)
        self.sources = Sources(database)
        self.unlearning = Unlearning(database, artifacts)
        self.cycles = Cycles(database, artifacts)
        self.imports = Imports(database, artifacts)
        self.editors = EditorStore(database, artifacts)
        self.history = StudyHistory(database)
        self.versions = Versions(database)
        self.desired = DesiredVersions(database)
        self.replicas = Replicas(database)
        self.approvals = Approvals(database)
        self.policy_decisions = PolicyDecisions(database)
        self.rollouts = Rollouts(database)
        self.question_sets = QuestionSets(database, limits)
        self.canary_suites = CanarySuites(database, limits)
        self.feedback = FeedbackStore(database, limits)
        self.answers = GivenAnswers(database)
        self.scores = CachedScores(database)

    @classmethod
    def open(
        cls,
        url: str,
        artifact_directory: Path,
        *,
        artifact_url: str = "",
        limits: LimitSettings | None = None,
        clock: Clock | None = None,
        busy_seconds: float = BUSY_SECONDS,
    ) -> Self:
        """Connect, migrate to the newest schema, and return.

        With `artifact_url` the artifacts are in that object store, and `artifact_directory` has copies of them. A write
        waits `busy_seconds` for another writer. Without `clock`, the database tells the time.

        Raises: StorageFailed, BadConfig (a url).
        """
        database = Database(url, clock=clock, busy_seconds=busy_seconds)
        schema.migrate(database)
        return cls(database, open_artifacts(artifact_directory, url=artifact_url, clock=clock), limits)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Open the registry that the settings name. Raises: as `open`."""
        return cls.open(
            settings.registry_url,
            settings.artifact_directory,
            artifact_url=settings.registry.artifacts,
            limits=settings.limits,
        )

    def copy_to(self, database: Path, artifact_directory: Path) -> Self:
        """Write the database, as it is at one moment, into a new SQLite file; return a registry on that copy.

        The artifacts are not copied: `artifact_directory` is the copy's own store. Raises: CorruptArtifact.
        """
        copies.copy_to_file(self._database, database)
        copy = Database(f"sqlite:///{database.absolute()}")
        return type(self)(copy, ArtifactStore(artifact_directory))

    @staticmethod
    def require_empty(url: str) -> None:
        """Return if nothing is recorded in the database of `url`. Raises: FailedPrecondition, BadConfig (url)."""
        copies.require_empty(url)

    @staticmethod
    def fill(url: str, database: Path) -> None:
        """Have the empty database of `url` hold what `copy_to` wrote into the file `database`."""
        copies.fill_from_file(database, url)

    def close(self) -> None:
        """Close every connection; no method may be called after it."""
        self._database.close()

    def sweep_rows(self, *, request_days: float, decision_days: float) -> int:
        """Delete older ids of requests and decisions of rules, some at a time; return how many. 0 days: all stay.

        A SQLite file's log shrinks, too. Documents, cycles, versions and the audit trail stay.
        """
        kept = (request_days, requests, requests.c.created_at), (decision_days, rulings, rulings.c.decided_at)
        deleted = 0
        for days, table, at in kept:
            if days:
                with self._database.read() as tx:
                    before = tx.now - timedelta(days=days)
                deleted += self._database.delete_in_batches(table, at < before)
        self._database.shrink_log()
        return deleted

    def seconds_ahead(self) -> float:
        """Return by how much the database's clock is ahead of this machine's; 0 for SQLite."""
        return self._database.seconds_ahead()

    def hold(self, name: str, *, holder: str, lease_seconds: float) -> bool:
        """Take or renew the lease `name`; False while somebody else holds it."""
        with self._database.write() as tx:
            return journal.hold(tx, name, holder=holder, lease_seconds=lease_seconds)
