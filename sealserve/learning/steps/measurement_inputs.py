"""What RANK and CONFIRM read: quiz items, matching rules, adapter files and the score cache."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sealserve.concurrency import in_thread
from sealserve.engine.engine import AdapterFiles
from sealserve.grading.answers import Matcher
from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import candidate_name
from sealserve.learning.evaluation.regression_suites import kept_over
from sealserve.learning.evaluation.scoring import ScoreCache
from sealserve.learning.study.tenant_questions import rules_of
from sealserve.records.candidates import Candidate
from sealserve.records.cycles import Claim, QuizItem, Split, Step
from sealserve.records.step_outputs import Claimed, Written, from_json
from sealserve.records.versions import BASE_VERSION


def _rules(context: LearnContext, claim: Claim) -> dict[str, tuple[Matcher, str]]:
    return rules_of(context.registry, claim.tenant, _evaluation(context, claim))


def _evaluation(context: LearnContext, claim: Claim) -> tuple[str, ...]:
    written = next(record for record in context.registry.cycles.steps(claim.cycle) if record.step is Step.WRITE)
    return from_json(Written, written.output).evaluation


async def _kept(context: LearnContext, claim: Claim, claimed: Claimed, candidates: Sequence[Candidate]) -> ScoreCache:
    """What was measured before; the adapters of this step are known by the engine names that they get here."""
    artifacts = {candidate_name(claim.cycle, str(c.index), artifact=c.artifact): c.artifact for c in candidates}
    if claimed.incumbent != BASE_VERSION:
        held = await asyncio.to_thread(context.registry.versions.get, claim.tenant, claimed.incumbent)
        artifacts[candidate_name(claim.cycle, "incumbent", artifact=held.artifact)] = held.artifact
    return kept_over(context, claim.tenant, base_digest=claimed.base_digest, artifacts=artifacts)


@asynccontextmanager
async def adapter_files(
    context: LearnContext, claim: Claim, label: str, *, artifact: str
) -> AsyncIterator[AdapterFiles]:
    """Give the adapter's files inside the block, under a name of this cycle's. Raises: NotFound, CorruptArtifact."""
    async with in_thread(context.registry.artifacts.materialise(artifact)) as path:
        yield AdapterFiles(name=candidate_name(claim.cycle, label, artifact=artifact), path=path)


@asynccontextmanager
async def incumbent_files(context: LearnContext, claim: Claim, claimed: Claimed) -> AsyncIterator[AdapterFiles | None]:
    """Give the incumbent's files inside the block; None is the base model. Raises: NotFound, CorruptArtifact.

    The adapter has a name of this cycle's, so dropping it afterwards does not affect serving.
    """
    if claimed.incumbent == BASE_VERSION:
        yield None
        return
    version = await asyncio.to_thread(context.registry.versions.get, claim.tenant, claimed.incumbent)
    async with adapter_files(context, claim, "incumbent", artifact=version.artifact) as files:
        yield files


async def _items(context: LearnContext, claim: Claim, split: Split) -> tuple[QuizItem, ...]:
    items = await asyncio.to_thread(context.registry.cycles.quiz, claim.cycle)
    return tuple(item for item in items if item.split is split)
