"""What RANK and CONFIRM read: quiz items, matching rules, adapter files and the score cache."""

import asyncio
from collections.abc import Sequence

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


async def _files(context: LearnContext, claim: Claim, label: str, *, artifact: str) -> AdapterFiles:
    path = await asyncio.to_thread(context.registry.artifacts.directory, artifact)
    return AdapterFiles(name=candidate_name(claim.cycle, label, artifact=artifact), path=path)


async def incumbent_files(context: LearnContext, claim: Claim, claimed: Claimed) -> AdapterFiles | None:
    """Return the incumbent under a name of this cycle's: dropping it afterwards takes nothing from serving."""
    if claimed.incumbent == BASE_VERSION:
        return None
    version = await asyncio.to_thread(context.registry.versions.get, claim.tenant, claimed.incumbent)
    return await _files(context, claim, "incumbent", artifact=version.artifact)


async def _items(context: LearnContext, claim: Claim, split: Split) -> tuple[QuizItem, ...]:
    items = await asyncio.to_thread(context.registry.cycles.quiz, claim.cycle)
    return tuple(item for item in items if item.split is split)
