"""A whole cycle in which the real trainer and the real engine meet; only what is written comes from a script.

The tiny model learns nothing that a question could show. What has to hold anyway: every step is recorded, the
training process leaves adapters that pass pre-flight, the engine scores them under their candidates' names, the gate
gives its reasons, and nothing is left behind.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from math import isfinite
from pathlib import Path

import pytest

from sealserve.canaries.probes import Probes
from sealserve.engine.base_model import BaseShape
from sealserve.engine.engine import AdapterFiles, Delta, Engine, GenerateRequest, Likelihood, ScoreRequest
from sealserve.engine.preflight import check_adapter
from sealserve.engine.vllm_engine import VllmEngine
from sealserve.learning.engine_client import candidate_name
from sealserve.learning.training.executors.process import ProcessExecutor
from sealserve.learning.training.trainer import ChildTrainer
from sealserve.records.cycles import STEPS, CycleState, Step
from sealserve.records.inference import ChatTurn, EngineInfo
from sealserve.records.scores import Decision, Measured
from sealserve.records.step_outputs import Confirmed, Judged, Ranked, Trained, from_json
from tests.conftest import TINY_ENGINE
from tests.stories.school import School, open_school
from tests.stories.student import CONTEXT, PROBES, Student

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="session")]

CANDIDATES = 2
FEW = Probes(
    canary=PROBES.canary[:24],
    unknown=PROBES.unknown[:12],
    rehearsed=PROBES.rehearsed[:6],
    rehearsed_unknown=PROBES.rehearsed_unknown[:3],
)
ENDS = {
    Decision.PROMOTE: CycleState.PROMOTED,
    Decision.REJECT: CycleState.REJECTED,
    Decision.HOLD: CycleState.HELD,
    Decision.INCONCLUSIVE: CycleState.INCONCLUSIVE,
}


class ScriptedReader:
    """The real engine, except that the student answers prompts with an article: they exceed the tiny model's context.

    Every closed-book question and every score is the real engine's.
    """

    def __init__(self, engine: Engine, student: Student) -> None:
        self.loaded: list[str] = []
        self.asked: set[str | None] = set()
        self.scored: set[str | None] = set()
        self._engine = engine
        self._student = student

    async def start(self) -> None:
        """Both run already."""

    async def close(self) -> None:
        """Other tests use the engine."""

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Delta]:
        if "<article>" in request.turns[-1].content:
            deltas: AsyncIterator[Delta] = self._student.generate(request)
        else:
            self.asked.add(request.adapter)
            deltas = self._engine.generate(request)
        async for delta in deltas:
            yield delta

    async def score(self, request: ScoreRequest) -> Likelihood:
        self.scored.add(request.adapter)
        return await self._engine.score(request)

    async def count_tokens(self, turns: tuple[ChatTurn, ...]) -> int:
        return await self._student.count_tokens(turns)

    async def load(self, adapter: AdapterFiles) -> None:
        await self._engine.load(adapter)
        self.loaded.append(adapter.name)

    async def unload(self, name: str) -> bool:
        return await self._engine.unload(name)

    async def info(self) -> EngineInfo:
        return replace(await self._engine.info(), max_context_tokens=CONTEXT)


async def open_real_school(directory: Path, base: Path, engine: Engine) -> tuple[School, ScriptedReader]:
    """A school that trains in a process of its own and measures in `engine`."""
    school = open_school(
        directory, training__candidates=CANDIDATES, training__rank=4, training__alpha=8, training__max_steps=12,
        devices="cpu", niceness=0, trainer_processes=1,
    )  # fmt: skip
    await school.student.start()
    reader, settings = ScriptedReader(engine, school.student), school.context.settings.learn
    trainer = ChildTrainer(settings, max_rank=TINY_ENGINE.max_rank, executor=ProcessExecutor(settings))
    school.context = replace(school.context, engine=reader, trainer=trainer, probes=FEW, base_directory=base)
    school.restart()
    return school, reader


async def test_a_cycle_trains_and_measures_with_the_real_parts(
    vllm_engine: VllmEngine, tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path
) -> None:
    before = (await vllm_engine.info()).loaded
    school, reader = await open_real_school(tmp_path, tiny_base, vllm_engine)
    school.add("Varnel Lamp")
    cycle = await school.learn()

    outputs = {record.step: record.output for record in school.registry.cycles.steps(cycle.cycle)}
    assert tuple(outputs) == STEPS, cycle.reason
    trained = from_json(Trained, outputs[Step.TRAIN])
    assert trained.candidates == tuple(range(CANDIDATES))
    assert trained.tokens > 0
    for trial in trained.trials:
        assert trial.losses
        assert all(map(isfinite, trial.losses))

    candidates = school.registry.cycles.candidates(cycle.cycle)
    names = [candidate_name(cycle.cycle, str(one.index), artifact=one.artifact) for one in candidates]
    for one in candidates:
        path = school.registry.artifacts.directory(one.artifact)
        assert check_adapter(path, tiny_shape, max_rank=TINY_ENGINE.max_rank).rank == 4
    assert set(reader.loaded) == set(names)
    assert {None, *names} <= reader.scored

    ranked = from_json(Ranked, outputs[Step.RANK])
    assert [score.why for score in ranked.scores] == [""] * CANDIDATES
    assert ranked.winner is not None
    assert {None, names[ranked.winner]} <= reader.asked
    card = from_json(Confirmed, outputs[Step.CONFIRM]).scorecard
    assert all(isinstance(score, Measured) for score in (card.confirm, card.canary, card.unknown))
    verdict = from_json(Judged, outputs[Step.JUDGE]).verdict
    assert cycle.state is ENDS[verdict.decision]
    assert verdict.reasons
    assert cycle.reason

    assert (await vllm_engine.info()).loaded == before
    assert not school.context.work_directory(cycle.cycle).exists()
    is_published = cycle.state in (CycleState.PROMOTED, CycleState.HELD)
    assert len(school.state()["versions"]) == is_published
    school.registry.close()
