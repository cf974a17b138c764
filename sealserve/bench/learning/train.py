"""The train figure: candidates trained a minute in one pass, over SEAL's code and over stock PEFT.

SEAL's settings (arXiv 2506.10943, scripts/query_server.sh): 15 candidates of about 9 sequences of about 50 tokens,
rank 32, alpha 64, 10 epochs, learning rate 1e-3, a sequence a step. The same candidates are trained once more in
batches of the product's size, where stock PEFT amortises its overhead as well. Stock PEFT runs in one process with all
threads, and in one process per core. The slow sides train a few of the candidates; their rate is that of those.
`train_baselines.py` trains each side.
"""

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from sealserve.bench.harness.intervals import with_goals
from sealserve.engine.base_model import base_shape, model_directory
from sealserve.learning.training_job import Attempt, Sequence, TrainingJob
from sealserve.nano import world as w
from sealserve.nano.world import World
from sealserve.prompts import describe
from sealserve.records.candidates import Recipe

if TYPE_CHECKING:
    from sealserve.bench.learning.train_baselines import Trained

CANDIDATES, SEQUENCES = 15, 9
FACTS = (1, 2, 3, 3, 4, 5)
"""Facts a sequence tells: about 50 tokens on average, from 25 to 80."""

BATCH = 12
"""Sequences of a step in the product (learn.training.batch_size)."""

GOALS = {"ratio_seal": (">=", 30), "ratio_peft": (">=", 4), "ratio_peft_per_core": (">=", 4)}
SEAL_PADDING = "SEAL's code pads every sequence to the whole context (padding='max_length')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured: epochs at one sequence a step and at BATCH, candidates of the slow sides, and passes."""

    epochs: int
    batch_epochs: int  # times SEQUENCES, a multiple of BATCH
    seal: int
    peft: int
    passes: int


QUICK = Size(epochs=1, batch_epochs=4, seal=1, peft=1, passes=1)
FULL = Size(epochs=10, batch_epochs=40, seal=3, peft=4, passes=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainFigures:
    """Rates, their ratios, and the losses that show that every side trained the same.

    Sides are one_pass, stock_peft, stock_peft_per_core and seal; one_pass_batch12 and so on in batches of 12. A process
    per core is not measured on CUDA.
    """

    ratio_seal: float  # candidates a minute over SEAL's code
    ratio_peft: float  # and over stock PEFT in one process, without padding
    ratio_peft_per_core: float | None  # and over as many processes of stock PEFT as there are cores
    ratios: dict[str, float]  # over every side, in batches of the same size
    candidates: int
    sequences: int  # of each candidate
    tokens: float  # of a sequence, on average
    steps: int  # of each candidate, a sequence a step
    steps_batch12: int
    context: int  # that SEAL's code pads to
    seal_padding: str
    processes: dict[str, int]  # that a side trains in; their loading is not timed, as nobody's
    per_minute: dict[str, float]
    spread: dict[str, list[float]]  # candidates a minute, slowest and fastest: of single candidates, or of passes
    seconds: dict[str, float]  # that the side's candidates took
    timed: dict[str, int]  # candidates that the side trained, those of repeated passes counted again
    final_loss: dict[str, float]  # of the candidates that every side trained, last tenth
    goals: dict[str, dict[str, object]]
    seed: int
    model: str
    base_digest: str
    date: str
    machine: str
    load: float  # processes that wanted a core as the figure began, these not among them


def run(say: Callable[[str], None], *, quick: bool, shape: str, seed: int) -> TrainFigures:
    """Measure. Raises: FailedPrecondition (a shape that needs CUDA, without it), TrainingFailed."""
    from sealserve.bench.learning import train_baselines as sides

    load, size, base = os.getloadavg()[0], QUICK if quick else FULL, model_directory("nano")
    single = job_of(base, epochs=size.epochs, seed=seed)
    batched = job_of(base, epochs=size.batch_epochs, seed=seed, batch=BATCH)
    tokens, context = sides.lengths_of(single, shape=shape)
    of_single = _train_sides(single, shape=shape, size=size, say=say, with_seal=True)
    of_batched = _train_sides(batched, shape=shape, size=size, say=say, with_seal=False)
    by_side = {**of_single, **{f"{name}_batch{BATCH}": done for name, done in of_batched.items()}}
    ratios = {**_ratios(of_single), **_ratios(of_batched, suffix=f"_batch{BATCH}")}
    return TrainFigures(
        ratios=ratios,
        ratio_seal=ratios["seal"],
        ratio_peft=ratios["stock_peft"],
        ratio_peft_per_core=ratios.get("stock_peft_per_core"),
        candidates=len(single.attempts),
        sequences=SEQUENCES,
        tokens=tokens,
        steps=single.attempts[0].steps,
        steps_batch12=batched.attempts[0].steps,
        context=context,
        seal_padding=SEAL_PADDING,
        processes={name: done.processes for name, done in by_side.items()},
        per_minute={name: round(done.per_minute, 3) for name, done in by_side.items()},
        spread={name: [round(min(done.rates), 3), round(max(done.rates), 3)] for name, done in by_side.items()},
        seconds={name: round(done.seconds, 2) for name, done in by_side.items()},
        timed={name: done.candidates for name, done in by_side.items()},
        final_loss={**_final_losses(of_single), **_final_losses(of_batched, suffix=f"_batch{BATCH}")},
        goals=with_goals({f"ratio_{name.removeprefix('stock_')}": ratio for name, ratio in ratios.items()}, GOALS),
        seed=seed,
        model=shape,
        base_digest=single.base_digest[:16],
        date=datetime.now(UTC).date().isoformat(),
        machine=sides.machine(),
        load=round(load, 2),
    )


def _train_sides(
    job: TrainingJob, *, shape: str, size: Size, say: Callable[[str], None], with_seal: bool
) -> "dict[str, Trained]":
    """Return what every side did with the job's candidates."""
    from sealserve.bench.learning import train_baselines as sides

    ground = sides.ground_of(job, shape=shape)
    done = {"stock_peft": sides.one_at_a_time(job, ground, n=size.peft, say=say)}
    if shape == "nano":
        done["stock_peft_per_core"] = sides.one_process_per_core(job, n=size.peft, say=say)
    if with_seal:
        done["seal"] = sides.as_seal_does(job, ground, n=size.seal, say=say)
    # Random weights lie in no directory that children could load; last: the model bears slots afterwards.
    ours = sides.in_children(job, passes=size.passes) if shape == "nano" else sides.in_one_pass(job, ground)
    say(f"one pass, {ours.candidates} candidates in {ours.processes} processes: {ours.seconds:.1f} s")
    return {"one_pass": ours, **done}


def _ratios(done: "Mapping[str, Trained]", *, suffix: str = "") -> dict[str, float]:
    """Return how many times faster one pass is than every other side."""
    ours = done["one_pass"].per_minute
    return {f"{name}{suffix}": round(ours / one.per_minute, 2) for name, one in done.items() if name != "one_pass"}


def _final_losses(done: "Mapping[str, Trained]", *, suffix: str = "") -> dict[str, float]:
    common = min(len(one.losses) for one in done.values())
    return {f"{name}{suffix}": round(mean(one.losses[:common]), 4) for name, one in done.items()}


def job_of(base: Path, *, epochs: int, seed: int, batch: int = 1) -> TrainingJob:
    """Return SEAL's settings over `base`: each candidate learns its own sequences, `batch` of them a step.

    Sequences that fill no last batch are left out.
    """
    sequences: list[Sequence] = []
    attempts = []
    for index in range(CANDIDATES):
        own = range(len(sequences), len(sequences) + SEQUENCES)
        sequences += _statements(seed=seed, candidate=index)
        rng = random.Random(f"{seed}:{index}")
        order = [place for _ in range(epochs) for place in rng.sample(own, SEQUENCES)]
        steps = len(order) // batch
        recipe = _recipe(index, epochs=epochs, batch=batch)
        attempts.append(Attempt(index=index, recipe=recipe, steps=steps, order=tuple(order[: steps * batch])))
    return TrainingJob(
        base_directory=base,
        base_digest=base_shape(base).digest,
        sequences=tuple(sequences),
        attempts=tuple(attempts),
    )


def _statements(*, seed: int, candidate: int) -> list[Sequence]:
    """Return lines of a few facts each, as a self-edit's implications are."""
    world = World(seed)
    rng = world.rng("train", candidate)
    told = []
    for _ in range(SEQUENCES):
        entity = world.entity(rng)
        facts = w.draw_facts(rng, entity, rng.choice(FACTS))
        line = " ".join(w.statement(rng, fact) for fact in facts)
        told.append(Sequence(prompt=describe(entity.name), completion=line))
    return told


def _recipe(seed: int, *, epochs: int, batch: int) -> Recipe:
    return Recipe(
        templates=(),
        rank=32,
        alpha=64,
        learning_rate=1e-3,
        epochs=epochs,
        batch_size=batch,
        loss_on_answers=True,
        retention=0.0,
        seed=seed,
    )
