"""The train figure: candidates trained a minute in one pass, over SEAL's procedure and over stock PEFT one at a time.

SEAL's settings (arXiv 2506.10943, scripts/query_server.sh): 15 candidates of about 9 sequences of about 50 tokens,
rank 32, alpha 64, 10 epochs, learning rate 1e-3, a sequence a step. The slow sides train a few of the candidates; their
rate is that of those. Knows what is compared; `train_baselines.py` knows how each side trains.
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from sealserve.engine.base_model import base_shape, model_directory
from sealserve.learning.training_job import Attempt, Sequence, TrainingJob
from sealserve.nano import world as w
from sealserve.nano.world import World
from sealserve.prompts import describe
from sealserve.records.candidates import Recipe

CANDIDATES, SEQUENCES = 15, 9
FACTS = (1, 2, 3, 3, 4, 5)
"""Facts a sequence tells: about 50 tokens on average, from 25 to 80."""

EPOCHS, QUICK_EPOCHS = 10, 1
SEAL_CANDIDATES, PEFT_CANDIDATES = 1, 3
"""How many of the candidates the slow sides train."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainFigures:
    """Rates, their ratios, and the losses that show that every side trained the same."""

    ratio_seal: float  # candidates a minute over SEAL's procedure
    ratio_peft: float  # and over stock PEFT, one at a time, without padding
    candidates: int
    sequences: int  # of each candidate
    tokens: float  # of a sequence, on average
    steps: int  # of each candidate
    context: int  # that SEAL's procedure pads to
    processes: int  # that one pass trains in: what default settings start; their loading is not timed, as nobody's
    per_minute: dict[str, float]
    seconds: dict[str, float]  # that the side's candidates took
    timed: dict[str, int]  # candidates that the side trained; the rate is theirs
    final_loss: dict[str, float]  # of the candidates that every side trained, last tenth
    machine: str
    load: float  # processes that wanted a core as the figure began, these not among them


def run(say: Callable[[str], None], *, quick: bool, shape: str, seed: int) -> TrainFigures:
    """Measure. Raises: FailedPrecondition (a shape that needs CUDA, without it)."""
    from sealserve.bench.learning import train_baselines as sides

    load = os.getloadavg()[0]
    job = job_of(model_directory("nano"), epochs=QUICK_EPOCHS if quick else EPOCHS, seed=seed)
    ground = sides.ground_of(job, shape=shape)
    peft = sides.one_at_a_time(job, ground, n=1 if quick else PEFT_CANDIDATES, say=say)
    seal = sides.as_seal_does(job, ground, n=SEAL_CANDIDATES, say=say)
    # Random weights lie in no directory that children could load; last: the model bears slots afterwards.
    ours = sides.in_children(job) if shape == "nano" else sides.in_one_pass(job, ground)
    say(f"one pass, {len(ours.losses)} candidates in {ours.processes} processes: {sum(ours.seconds):.1f} s")
    named = {"one_pass": ours, "stock_peft": peft, "seal": seal}
    common = min(len(side.losses) for side in named.values())
    return TrainFigures(
        ratio_seal=round(ours.per_minute / seal.per_minute, 2),
        ratio_peft=round(ours.per_minute / peft.per_minute, 2),
        candidates=len(job.attempts),
        sequences=SEQUENCES,
        tokens=round(mean(len(sequence.ids) for sequence in ground.encoded), 1),
        steps=job.attempts[0].steps,
        context=ground.context,
        processes=ours.processes,
        per_minute={name: round(side.per_minute, 3) for name, side in named.items()},
        seconds={name: round(sum(side.seconds), 2) for name, side in named.items()},
        timed={name: len(side.seconds) for name, side in named.items()},
        final_loss={name: round(mean(side.losses[:common]), 4) for name, side in named.items()},
        machine=sides.machine(),
        load=round(load, 2),
    )


def job_of(base: Path, *, epochs: int, seed: int) -> TrainingJob:
    """Return SEAL's settings over `base`: each candidate learns its own sequences, a sequence a step."""
    sequences: list[Sequence] = []
    attempts = []
    for index in range(CANDIDATES):
        own = range(len(sequences), len(sequences) + SEQUENCES)
        sequences += _statements(seed=seed, candidate=index)
        rng = random.Random(f"{seed}:{index}")
        order = [place for _ in range(epochs) for place in rng.sample(own, SEQUENCES)]
        attempts.append(Attempt(index=index, recipe=_recipe(index), steps=len(order), order=tuple(order)))
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


def _recipe(seed: int) -> Recipe:
    return Recipe(
        templates=(),
        rank=32,
        alpha=64,
        learning_rate=1e-3,
        epochs=EPOCHS,
        batch_size=1,
        loss_on_answers=True,
        rehearsal=0.0,
        seed=seed,
    )
