"""From a cycle's examples and recipes to the job that the trainer gets, and what was limited in it.

Knows the registry for one thing: the adapter that training starts from, where it does.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sealserve.errors import TrainingFailed
from sealserve.learning.context import LearnContext
from sealserve.learning.training.examples import Example, Pool
from sealserve.learning.training.replay import Earlier
from sealserve.learning.training.sampler import order, source_shares
from sealserve.learning.training.step_budget import steps_for
from sealserve.learning.training_job import Attempt, Sequence, TrainingJob
from sealserve.records.candidates import Recipe, Target
from sealserve.records.cycles import Claim
from sealserve.records.step_outputs import Claimed
from sealserve.records.versions import BASE_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The adapter that candidates go on from; its rank and alpha are theirs."""

    path: Path
    rank: int
    alpha: int


@contextmanager
def start_of(context: LearnContext, claim: Claim, claimed: Claimed) -> Iterator[Start | None]:
    """Give the incumbent's adapter inside the block where the settings continue from it; None: from the base.

    Raises: CorruptArtifact, TrainingFailed (its configuration names no rank).
    """
    if context.settings.learn.training.update == "rebuild" or claimed.incumbent == BASE_VERSION:
        yield None
        return
    version = context.registry.versions.get(claim.tenant, claimed.incumbent)
    with context.registry.artifacts.materialise(version.artifact) as path:
        config = json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))
        rank, alpha = config.get("r"), config.get("lora_alpha")
        if not isinstance(rank, int) or not isinstance(alpha, int | float):
            raise TrainingFailed("the active adapter names no rank and alpha; set learn.training.update to rebuild")
        yield Start(path=path, rank=rank, alpha=int(alpha))


def job_of(
    context: LearnContext, pool: Pool, chosen: tuple[Recipe, ...], *, base_digest: str, start: Start | None
) -> TrainingJob:
    """Return the job: one attempt for each recipe. Raises: TrainingFailed (a recipe leaves nothing to train on)."""
    settings = context.settings.learn
    attempts = []
    for index, recipe in enumerate(chosen):
        steps = steps_for(pool, recipe, max_steps=settings.training.max_steps, is_rebuilt=start is None)
        most = context.policy.influence.max_share
        drawn = order(pool, recipe, steps=steps, max_source_share=most, is_rebuilt=start is None)
        path = start.path if start else None
        attempts.append(Attempt(index=index, recipe=recipe, steps=steps, order=drawn, start=path))
    if not all(attempt.order for attempt in attempts):
        raise TrainingFailed("a recipe leaves nothing to train on")
    is_taught = any(recipe.target is Target.DISTILLATION for recipe in chosen)
    return TrainingJob(
        base_directory=context.base_directory,
        base_digest=base_digest,
        sequences=tuple(_sequence(example, is_taught=is_taught) for example in pool.examples),
        attempts=tuple(attempts),
    )


def remarks(
    context: LearnContext, claimed: Claimed, earlier: Earlier, pool: Pool, *, start: Start | None
) -> tuple[str, ...]:
    """Return what was limited or left out of training, a line each."""
    return tuple(_remarks(context, claimed, earlier, pool, start=start))


def _remarks(
    context: LearnContext, claimed: Claimed, earlier: Earlier, pool: Pool, *, start: Start | None
) -> Iterator[str]:
    if claimed.left_out:
        yield f"{claimed.left_out} passages beyond learn.study.max_passages_per_cycle were not studied"
    if earlier.left_out:
        yield f"{earlier.left_out} earlier notes left the replay: a newer document says otherwise"
    if pool.left_out:
        yield (
            f"{pool.left_out} examples of earlier documents were left out: "
            "learn.training.replay_examples allows no more"
        )
    counts = list(pool.origins.values())
    for source, share in sorted(source_shares(pool.origins, most=context.policy.influence.max_share).items()):
        if share < counts.count(source) / len(counts) - 1e-9:
            yield f"source {source} was held to {share:.0%} of the new documents' examples (policy influence.max_share)"
    if start:
        yield f"went on from version {claimed.incumbent}: rank {start.rank}, alpha {start.alpha}"


def _sequence(example: Example, *, is_taught: bool) -> Sequence:
    return Sequence(
        prompt=example.prompt,
        completion=example.completion,
        is_kept=not example.document,
        teacher_prompt=example.teacher_prompt if is_taught else None,
    )
