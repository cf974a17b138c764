"""What the train figure compares, and what it asks of the machine."""

from pathlib import Path

import pytest

from sealserve.bench.learning import train
from sealserve.bench.learning.train_baselines import (
    Ground,
    Trained,
    as_seal_does,
    ground_of,
    in_children,
    in_one_pass,
    one_at_a_time,
    one_process_per_core,
)
from sealserve.errors import FailedPrecondition
from sealserve.learning.multi_lora.base_model import load_base
from sealserve.learning.multi_lora.batches import encode

pytestmark = pytest.mark.slow  # trains


@pytest.mark.timeout(400)
def test_every_side_trains_the_same_sequences_to_about_the_same_loss(tiny_base: Path) -> None:
    job = train.job_of(tiny_base, epochs=1, seed=0)
    ground = Ground(model=load_base(tiny_base), encoded=encode(job.sequences, base=tiny_base), context=512)
    said: list[str] = []
    peft = one_at_a_time(job, ground, n=1, say=said.append)
    seal = as_seal_does(job, ground, n=1, say=said.append)
    children = in_children(job, passes=1)
    ours = in_one_pass(job, ground)
    assert len(said) == 2
    assert len(ours.losses) == train.CANDIDATES
    assert seal.losses[0] == pytest.approx(peft.losses[0], rel=0.02)
    assert ours.losses[0] == pytest.approx(peft.losses[0], rel=0.1)  # from another start
    assert children.losses == pytest.approx(ours.losses, rel=0.02)
    assert children.processes >= 1


@pytest.mark.timeout(400)
def test_processes_of_stock_peft_train_what_one_process_trains(tiny_base: Path) -> None:
    job = train.job_of(tiny_base, epochs=4, seed=0, batch=train.BATCH)
    ground = Ground(model=load_base(tiny_base), encoded=encode(job.sequences, base=tiny_base), context=512)
    alone = one_at_a_time(job, ground, n=2, say=lambda line: None)
    together = one_process_per_core(job, n=2, say=lambda line: None)
    assert together.losses == pytest.approx(alone.losses, rel=0.02)
    assert together.processes <= 2
    assert len(together.rates) == together.candidates == 2


def test_the_rate_is_that_of_the_candidates_that_were_timed() -> None:
    done = Trained(candidates=2, seconds=6.0, rates=[30.0, 15.0], losses=[1.0, 1.0])
    assert done.per_minute == 20.0


def test_ratios_and_losses_are_those_of_sides_in_batches_of_one_size() -> None:
    done = {
        "one_pass": Trained(candidates=15, seconds=10.0, rates=[90.0], losses=[0.5] * 15),
        "stock_peft": Trained(candidates=4, seconds=8.0, rates=[30.0], losses=[0.4, 0.6, 9.0, 9.0]),
        "seal": Trained(candidates=2, seconds=60.0, rates=[2.0], losses=[0.4, 0.8]),
    }
    assert train._ratios(done) == {"stock_peft": 3.0, "seal": 45.0}
    assert train._final_losses(done, suffix="_batch12") == {
        "one_pass_batch12": 0.5, "stock_peft_batch12": 0.5, "seal_batch12": 0.6,
    }  # fmt: skip


def test_batches_of_the_products_size_are_full_and_of_the_candidate_alone(tiny_base: Path) -> None:
    job = train.job_of(tiny_base, epochs=train.FULL.batch_epochs, seed=0, batch=train.BATCH)
    for attempt in job.attempts:
        assert attempt.steps * train.BATCH == len(attempt.order) == train.FULL.batch_epochs * train.SEQUENCES
        assert {place // train.SEQUENCES for place in attempt.order} == {attempt.index}
    assert train.FULL.seal >= 3
    assert train.FULL.peft >= 3


def test_a_shape_that_needs_a_gpu_or_that_nobody_knows_is_refused(tiny_base: Path) -> None:
    job = train.job_of(tiny_base, epochs=1, seed=0)
    with pytest.raises(FailedPrecondition, match="CUDA"):
        ground_of(job, shape="qwen2.5-7b")
    with pytest.raises(FailedPrecondition, match="nano"):
        ground_of(job, shape="other")
