"""What RANK and CONFIRM read: quiz items, adapter files and the score cache."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sealserve.concurrency import in_thread
from sealserve.engine.engine import AdapterFiles
from sealserve.learning.cycle_run import CycleRun
from sealserve.learning.engine_client import candidate_name
from sealserve.learning.evaluation.regression_suites import score_cache
from sealserve.learning.evaluation.scoring import ScoreCache
from sealserve.records.candidates import Candidate
from sealserve.records.cycles import QuizItem, Split
from sealserve.records.versions import BASE_VERSION


async def quiz_half(run: CycleRun, split: Split) -> tuple[QuizItem, ...]:
    """Return the cycle's quiz items of that half."""
    items = await asyncio.to_thread(run.context.registry.cycles.quiz, run.claim.cycle)
    return tuple(item for item in items if item.split is split)


@asynccontextmanager
async def candidate_files(run: CycleRun, candidate: Candidate) -> AsyncIterator[AdapterFiles]:
    """Give the candidate's files inside the block, under its engine name in this cycle.

    Raises: NotFound, CorruptArtifact.
    """
    async with _adapter_files(run, str(candidate.index), artifact=candidate.artifact) as files:
        yield files


@asynccontextmanager
async def incumbent_files(run: CycleRun) -> AsyncIterator[AdapterFiles | None]:
    """Give the incumbent's files inside the block; None is the base model. Raises: NotFound, CorruptArtifact.

    The engine name is this cycle's own, so unloading it does not affect serving.
    """
    if run.claimed.incumbent == BASE_VERSION:
        yield None
        return
    async with _adapter_files(run, "incumbent", artifact=await _incumbent_artifact(run)) as files:
        yield files


async def open_score_cache(run: CycleRun, candidates: Sequence[Candidate]) -> ScoreCache:
    """Return earlier measurements of the incumbent and of `candidates`, by the engine names of this cycle."""
    cycle = run.claim.cycle
    artifacts = {candidate_name(cycle, str(c.index), artifact=c.artifact): c.artifact for c in candidates}
    if run.claimed.incumbent != BASE_VERSION:
        artifact = await _incumbent_artifact(run)
        artifacts[candidate_name(cycle, "incumbent", artifact=artifact)] = artifact
    return score_cache(
        run.context.registry.scores,
        run.claim.tenant,
        base_digest=run.claimed.base_digest,
        dtype=run.context.settings.engine.dtype,
        artifacts=artifacts,
        base_scores=run.context.base_scores,
    )


async def _incumbent_artifact(run: CycleRun) -> str:
    version = await asyncio.to_thread(run.context.registry.versions.get, run.claim.tenant, run.claimed.incumbent)
    return version.artifact


@asynccontextmanager
async def _adapter_files(run: CycleRun, label: str, *, artifact: str) -> AsyncIterator[AdapterFiles]:
    async with in_thread(run.context.registry.artifacts.materialise(artifact)) as path:
        yield AdapterFiles(name=candidate_name(run.claim.cycle, label, artifact=artifact), path=path)
