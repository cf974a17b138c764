"""One learning process over a real registry, with a simulated model and trainer, and a clock that tests move."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sealserve.canonical import Json
from sealserve.errors import AlreadyExists, SealserveError
from sealserve.gate.thresholds import load_policy
from sealserve.learning.context import LearnContext
from sealserve.learning.scheduler import Learner
from sealserve.policy.rulebook import Rulebook, open_rules
from sealserve.proof.manifest import Seals
from sealserve.records.cycles import Claim, Cycle, Step, StepRecord
from sealserve.records.documents import Document, NewDocument
from sealserve.registry.cycles.cycles import Cycles
from sealserve.registry.registry import Effect, Registry
from sealserve.scanners.contradictions import subjects_of
from sealserve.settings.learn import learn_settings
from sealserve.settings.settings import RegistrySettings, Settings
from sealserve.telemetry import Telemetry
from tests.stories.student import PROBES, Student, Teacher, article

LEASE_SECONDS = 30.0
TENANT = "acme"


class Killed(BaseException):
    """Stands for kill -9: nothing in the process may catch it and go on."""


class KillableCycles(Cycles):
    """The registry's own cycles; the process dies at a named step edge, once."""

    kill_at: tuple[Step, str] | None = None  # step, and "before" or "after" its transaction

    def record_step(
        self, claim: Claim, step: Step, output: Json, *, seconds: float, effects: Sequence[Effect] = ()
    ) -> StepRecord:
        when = self.kill_at[1] if self.kill_at and self.kill_at[0] is step else ""
        if when:
            self.kill_at = None
        if when == "before":
            raise Killed
        record = super().record_step(claim, step, output, seconds=seconds, effects=effects)
        if when == "after":
            raise Killed
        return record


class Clock:
    """The registry's time."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def pass_lease(self) -> None:
        """Let every lease expire."""
        self.now += timedelta(seconds=2 * LEASE_SECONDS)


@dataclass(slots=True)
class School:
    """The parts, and short names for what stories do."""

    registry: Registry
    cycles: KillableCycles
    student: Student
    teacher: Teacher
    clock: Clock
    context: LearnContext
    learner: Learner

    def add(self, title: str, *, shift: int = 0, text: str = "", source: str = "test") -> Document:
        """Keep an article about `title`: `text`, or one made up."""
        document, _ = self.registry.documents.add(
            TENANT,
            NewDocument(title=title, text=text or article(title, shift=shift), source=source, media_type="text/plain"),
            actor="test",
        )
        self.registry.subjects.note(TENANT, document.document, subjects_of(title, text or article(title, shift=shift)))
        return document

    async def learn(self) -> Cycle:
        """Open a cycle for what is admitted and carry it as far as it goes."""
        assert await self.learner.gather() == 1
        cycle = await self.learner.work_once()
        assert cycle is not None
        return cycle

    def restart(self, worker: str = "second") -> None:
        """The learning process is gone; another one starts after its lease."""
        self.clock.pass_lease()
        self.learner = Learner(self.context, worker=worker)

    async def answer(self, question: str) -> str:
        """What the tenant's desired version says."""
        tenant = self.registry.tenants.get(TENANT)
        if tenant.desired_version == 0:
            return self.student.say(None, question, seed=0)
        version = self.registry.versions.get(TENANT, tenant.desired_version)
        path = self.registry.artifacts.directory(version.artifact)
        self.student._loaded["probe"] = path
        try:
            return self.student.say("probe", question, seed=0)
        finally:
            del self.student._loaded["probe"]

    def state(self) -> dict[str, Any]:
        """Everything a tenant could notice: pointer, versions, documents."""
        tenant = self.registry.tenants.get(TENANT)
        documents = self.registry.documents.page(TENANT).items
        return {
            "tenant": (tenant.desired_version, tenant.activation, tenant.etag),
            "versions": [version.artifact for version in self.registry.versions.page(TENANT).items],
            "documents": sorted((document.document, document.state) for document in documents),
        }


def open_school(directory: Path, **learn: Any) -> School:
    """Start a school with one tenant in a directory that is empty or a copy of another school's.

    `training__rank=4` sets learn.training.rank.
    """
    clock = Clock()
    settings = Settings(
        data_directory=directory,
        learn=learn_settings(
            **{
                "study__edits_per_template": 3,
                "study__qa_edits": 3,
                "study__judge": False,  # what is asked first is then written
                "quiz__edits": 8,
                "max_attempts": 3,
                **learn,
            }
        ),
        registry=RegistrySettings(lease_seconds=LEASE_SECONDS),
    )
    registry = Registry.open(settings.registry_url, settings.artifact_directory, clock=clock)
    registry.cycles = cycles = KillableCycles(registry._database, registry.artifacts)
    with suppress(AlreadyExists):  # the directory is a copy of another school's
        registry.tenants.create(TENANT, actor="test")
    student, teacher = Student(), Teacher()
    context = LearnContext(
        registry=registry,
        engine=student,
        trainer=teacher,
        policy=load_policy(),
        rules=_packaged_rules(),
        seals=Seals.open(directory, registry),
        probes=PROBES,
        settings=settings,
        base_directory=directory,
        telemetry=Telemetry.off(),
    )
    return School(registry, cycles, student, teacher, clock, context, Learner(context, worker="first"))


@cache
def _packaged_rules() -> Rulebook:
    """Read and proven once."""
    return open_rules()


def message_of(error: SealserveError) -> str:
    """What an operator reads."""
    return error.message
