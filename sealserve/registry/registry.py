"""The registry's public face: the only way serve and learn meet.

Every method of its parts is one short transaction (law 6); slow work never happens inside. Synchronous: asyncio
callers use `asyncio.to_thread`. Every method may raise StorageFailed; refused calls change nothing.
"""

from pathlib import Path
from typing import Self

from sealserve.registry import journal
from sealserve.registry.artifact_gc import ArtifactGc
from sealserve.registry.artifacts import ArtifactStore
from sealserve.registry.audit import AuditTrail
from sealserve.registry.cycles.cycles import Cycles
from sealserve.registry.cycles.imports import Imports
from sealserve.registry.documents.documents import Documents
from sealserve.registry.documents.subjects import DocumentSubjects
from sealserve.registry.evaluation.answer_log import GivenAnswers
from sealserve.registry.evaluation.canary_suites import CanarySuites
from sealserve.registry.evaluation.feedback import FeedbackStore
from sealserve.registry.evaluation.question_sets import QuestionSets
from sealserve.registry.evaluation.score_cache import CachedScores
from sealserve.registry.policy_decisions import PolicyDecisions
from sealserve.registry.rollouts.rollouts import Rollouts
from sealserve.registry.sql import schema
from sealserve.registry.sql.database import BUSY_SECONDS, Clock, Database, utc_now
from sealserve.registry.step_effects import (
    AddCandidates,
    AddPolicyDecisions,
    AddQuiz,
    AddSelfEdits,
    Effect,
    Finish,
    Publish,
)
from sealserve.registry.tenants import Tenants
from sealserve.registry.tokens import Tokens
from sealserve.registry.unlearning import Unlearning
from sealserve.registry.versions.approvals import Approvals
from sealserve.registry.versions.history import StudyHistory
from sealserve.registry.versions.versions import Versions
from sealserve.settings.limits import LimitSettings

__all__ = [
    "AddCandidates",
    "AddPolicyDecisions",
    "AddQuiz",
    "AddSelfEdits",
    "CachedScores",
    "Effect",
    "Finish",
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
        self.documents = Documents(database, artifacts, limits)
        self.subjects = DocumentSubjects(database)
        self.unlearning = Unlearning(database, artifacts)
        self.cycles = Cycles(database, artifacts)
        self.imports = Imports(database, artifacts)
        self.history = StudyHistory(database)
        self.versions = Versions(database)
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
        limits: LimitSettings | None = None,
        clock: Clock = utc_now,
        busy_seconds: float = BUSY_SECONDS,
    ) -> Self:
        """Connect, migrate to the newest schema, and return.

        A write waits `busy_seconds` for another writer. Raises: StorageFailed, BadConfig (url).
        """
        database = Database(url, clock=clock, busy_seconds=busy_seconds)
        schema.migrate(database)
        return cls(database, ArtifactStore(artifact_directory, clock=clock), limits)

    def close(self) -> None:
        """Close every connection; no method may be called after it."""
        self._database.close()

    def hold(self, name: str, *, holder: str, lease_seconds: float) -> bool:
        """Take or renew the lease `name`; False while somebody else holds it."""
        with self._database.write() as tx:
            return journal.hold(tx, name, holder=holder, lease_seconds=lease_seconds)
