"""The services and settings that learning works with, assembled once when learning starts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sealserve.canaries.probes import Probes
from sealserve.engine.engine import Engine
from sealserve.gate.thresholds import Policy
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.retention_set import RetentionSets
from sealserve.learning.screening.passage_judge import PassageJudges
from sealserve.learning.training_job import Trainer
from sealserve.policy.rulebook import Rulebook
from sealserve.prompts import Dialect
from sealserve.proof.manifest import Seals
from sealserve.registry.registry import Registry
from sealserve.settings.settings import Settings
from sealserve.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnContext:
    """Registry, engine, trainer, the gate's policy, rules and probes, the seals of versions, settings, telemetry."""

    registry: Registry
    engine: Engine
    trainer: Trainer
    policy: Policy
    rules: Rulebook
    seals: Seals
    probes: Probes
    settings: Settings
    base_directory: Path  # the base model's files, which the trainer reads
    telemetry: Telemetry
    dialect: Dialect = Dialect.EMBEDDED  # how the base is asked
    refusal: Callable[[], str] = str  # why the base model may not learn new documents now; "" if it may
    retention_sets: RetentionSets = field(default_factory=RetentionSets)
    passage_judges: PassageJudges = field(default_factory=PassageJudges)
    base_scores: dict[str, tuple[float, ...]] = field(default_factory=dict)  # see evaluation/scoring.py

    def client(self, tenant: str, cycle: str, *, concurrency: int | None = None) -> EngineClient:
        """Return an engine client for one cycle, or for other work of that name."""
        return EngineClient(
            self.engine,
            tenant=tenant,
            cycle=cycle,
            concurrency=concurrency or self.settings.learn.concurrency,
            dialect=self.dialect,
        )

    def work_directory(self, cycle: str) -> Path:
        """Return the directory of the cycle's training files. Losing it costs time only: the journal is elsewhere."""
        return self.settings.data_directory.absolute() / "learn" / cycle
