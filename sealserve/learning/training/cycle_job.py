"""Builds the training job of a cycle from its examples and recipes, and describes what was limited in it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sealserve.errors import TrainingFailed
from sealserve.learning.training.examples import Example, Pool
from sealserve.learning.training.replay import Earlier
from sealserve.learning.training.sampler import order, source_shares
from sealserve.learning.training.step_budget import steps_for
from sealserve.learning.training_job import Attempt, TrainingJob
from sealserve.learning.training_job import Sequence as Turn
from sealserve.records.candidates import Recipe, Target
from sealserve.records.step_outputs import Claimed
from sealserve.records.versions import BASE_VERSION, VersionState
from sealserve.registry.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The adapter that training starts from; candidates share its rank and alpha.

    `is_rebuilt`: it knows nothing of the tenant's earlier documents, which are therefore trained anew.
    """

    path: Path
    version: int
    rank: int
    alpha: int
    is_rebuilt: bool = False


@contextmanager
def start_of(registry: Registry, tenant: str, incumbent: int, *, is_rebuilt: bool) -> Iterator[Start | None]:
    """Give the adapter that training starts from inside the block; None to start from the base model. Blocking.

    It is the incumbent's or, if everything is rebuilt, the imported one that the incumbent rests on: what that one
    knows is in no self-edit. Raises: CorruptArtifact, TrainingFailed (its configuration names no rank).
    """
    start = _imported_below(registry, tenant, incumbent) if is_rebuilt else incumbent
    if start == BASE_VERSION:
        yield None
        return
    version = registry.versions.get(tenant, start)
    with registry.artifacts.materialise(version.artifact) as path:
        config = json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))
        rank, alpha = config.get("r"), config.get("lora_alpha")
        if not isinstance(rank, int) or not isinstance(alpha, int | float):
            raise TrainingFailed(f"version {start}, which training starts from, names no rank and alpha")
        yield Start(path=path, version=start, rank=rank, alpha=int(alpha), is_rebuilt=is_rebuilt)


def _imported_below(registry: Registry, tenant: str, version: int) -> int:
    """Return the newest imported version among `version` and those it was measured against; the base if there is none.

    One that is quarantined ends the search: nothing is built on it.
    """
    while version != BASE_VERSION:
        found = registry.versions.get(tenant, version)
        if found.state is not VersionState.READY:
            return BASE_VERSION
        if found.lineage.imported is not None:
            return version
        version = found.parent
    return BASE_VERSION


def job_of(
    pool: Pool,
    recipes: Sequence[Recipe],
    *,
    base_directory: Path,
    base_digest: str,
    start: Start | None,
    max_steps: int,
    max_source_share: float,
) -> TrainingJob:
    """Return the job with one attempt per recipe. Raises: TrainingFailed (a recipe leaves nothing to train on)."""
    is_rebuilt = start is None or start.is_rebuilt
    attempts = []
    for index, recipe in enumerate(recipes):
        steps = steps_for(pool, recipe, max_steps=max_steps, is_rebuilt=is_rebuilt)
        drawn = order(pool, recipe, steps=steps, max_source_share=max_source_share, is_rebuilt=is_rebuilt)
        path = start.path if start else None
        attempts.append(Attempt(index=index, recipe=recipe, steps=steps, order=drawn, start=path))
    if not all(attempt.order for attempt in attempts):
        raise TrainingFailed("a recipe leaves nothing to train on")
    is_distilled = any(recipe.target is Target.DISTILLATION for recipe in recipes)
    return TrainingJob(
        base_directory=base_directory,
        base_digest=base_digest,
        sequences=tuple(_sequence(example, is_distilled=is_distilled) for example in pool.examples),
        attempts=tuple(attempts),
    )


def remarks(
    claimed: Claimed, earlier: Earlier, pool: Pool, *, start: Start | None, max_source_share: float
) -> tuple[str, ...]:
    """Return a line for each thing that was limited or left out of training."""
    return tuple(_remarks(claimed, earlier, pool, start=start, max_source_share=max_source_share))


def _remarks(
    claimed: Claimed, earlier: Earlier, pool: Pool, *, start: Start | None, max_source_share: float
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
    for source, share in sorted(source_shares(pool.origins, most=max_source_share).items()):
        if share < counts.count(source) / len(counts) - 1e-9:
            yield f"source {source} was held to {share:.0%} of the new documents' examples (policy influence.max_share)"
    if start:
        imported = ", which was imported" if start.is_rebuilt else ""
        yield f"went on from version {start.version}{imported}: rank {start.rank}, alpha {start.alpha}"


def _sequence(example: Example, *, is_distilled: bool) -> Turn:
    return Turn(
        prompt=example.prompt,
        completion=example.completion,
        is_kept=not example.document,
        teacher_prompt=example.teacher_prompt if is_distilled else None,
    )
