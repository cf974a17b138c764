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
    children = in_children(job)
    ours = in_one_pass(job, ground)
    assert len(said) == 2
    assert len(ours.losses) == train.CANDIDATES
    assert seal.losses[0] == pytest.approx(peft.losses[0], rel=0.02)
    assert ours.losses[0] == pytest.approx(peft.losses[0], rel=0.1)  # from another start
    assert children.losses == pytest.approx(ours.losses, rel=0.02)
    assert children.processes >= 1


def test_the_rate_is_that_of_the_candidates_that_were_timed() -> None:
    assert Trained(seconds=[2.0, 4.0], losses=[1.0, 1.0]).per_minute == 20.0


def test_a_shape_that_needs_a_gpu_or_that_nobody_knows_is_refused(tiny_base: Path) -> None:
    job = train.job_of(tiny_base, epochs=1, seed=0)
    with pytest.raises(FailedPrecondition, match="CUDA"):
        ground_of(job, shape="qwen2.5-7b")
    with pytest.raises(FailedPrecondition, match="nano"):
        ground_of(job, shape="other")
