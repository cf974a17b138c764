"""The real training child over a tiny random model: what it writes, and when it stops."""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sealserve.canonical import Json
from sealserve.engine.base_model import BaseShape
from sealserve.engine.preflight import WEIGHTS_FILE, check_adapter
from sealserve.errors import BadConfig, TrainingFailed
from sealserve.learning.training.executors.process import ProcessExecutor
from sealserve.learning.training.trainer import ChildTrainer
from sealserve.learning.training_job import (
    EXIT_ORPHANED,
    Attempt,
    Sequence,
    TrainingJob,
    adapter_path,
    read_job,
    read_result,
    result_path,
)
from sealserve.records.candidates import Recipe
from sealserve.settings.learn import learn_settings

pytestmark = pytest.mark.slow  # trains

FACTS = tuple(Sequence(prompt=f"What is the number of lamp {i}?", completion=f"It is {i * 7}.") for i in range(8))
RECIPE = Recipe(
    templates=(),
    rank=4,
    alpha=8,
    learning_rate=5e-3,
    epochs=1,
    batch_size=4,
    loss_on_answers=True,
    retention=0.0,
    seed=3,
)


def job(base: Path, shape: BaseShape, *, candidates: int = 1, steps: int = 30, **changes: Any) -> TrainingJob:
    order = tuple(i % len(FACTS) for i in range(steps * RECIPE.batch_size))
    attempts = tuple(Attempt(index=i, recipe=RECIPE, steps=steps, order=order) for i in range(candidates))
    return TrainingJob(
        **{
            "base_directory": base,
            "base_digest": shape.digest,
            "sequences": FACTS,
            "attempts": attempts,
            **changes,
        }
    )


def trainer(**settings: Any) -> ChildTrainer:
    learn = learn_settings(**{"threads": 1, "trainer_processes": 1, "niceness": 0, **settings})
    return ChildTrainer(learn, max_rank=8, executor=ProcessExecutor(learn))


async def test_the_loss_falls_and_the_adapter_is_sound_and_loads(
    tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path
) -> None:
    heard: list[Json] = []
    (trained,) = await trainer().train(job(tiny_base, tiny_shape), tmp_path, on_progress=heard.append)
    losses = read_result(tmp_path, 0).losses
    assert losses[-1] < 0.7 * losses[0]
    assert trained.final_loss == losses[-1]
    assert {file.name for file in trained.path.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    facts = check_adapter(trained.path, tiny_shape, max_rank=8)
    assert (facts.rank, facts.scaling) == (4, 2.0)
    assert len(facts.modules) == len(tiny_shape.linear)
    assert [report["step"] for report in heard if "step" in report] == [0, 10, 20, 30]
    assert await asyncio.to_thread(_changes_the_model, tiny_base, trained.path)


def test_a_finished_candidate_is_not_trained_again_and_the_same_job_gives_the_same_bytes(
    tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path
) -> None:
    asked = job(tiny_base, tiny_shape, candidates=2, steps=4)
    train_here(asked, tmp_path / "a")
    result_path(tmp_path / "a", 1).unlink()  # as if it was killed before the second one's end
    kept = adapter_path(tmp_path / "a", 0).stat().st_ino
    stale = adapter_path(tmp_path / "a", 1).stat().st_ino
    train_here(asked, tmp_path / "a")
    assert adapter_path(tmp_path / "a", 0).stat().st_ino == kept
    assert adapter_path(tmp_path / "a", 1).stat().st_ino != stale
    train_here(asked, tmp_path / "b")
    for index in (0, 1):
        assert _weights(tmp_path / "a", index) == _weights(tmp_path / "b", index)


def test_training_goes_on_from_an_adapter(tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path) -> None:
    first = job(tiny_base, tiny_shape)
    train_here(first, tmp_path / "first")
    start = adapter_path(tmp_path / "first", 0)
    (attempt,) = first.attempts
    still = replace(attempt, start=start, recipe=replace(RECIPE, learning_rate=1e-12, seed=9))
    train_here(job(tiny_base, tiny_shape, attempts=(still,)), tmp_path / "second")
    assert _close(start, adapter_path(tmp_path / "second", 0))
    other = replace(still, recipe=replace(RECIPE, rank=2, alpha=4))
    with pytest.raises(TrainingFailed, match="does not fit"):
        train_here(job(tiny_base, tiny_shape, attempts=(other,)), tmp_path / "third")


def test_training_goes_on_from_an_adapter_of_some_layers_and_not_from_one_of_others(
    tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path
) -> None:
    first = job(tiny_base, tiny_shape)
    train_here(first, tmp_path / "first")
    start = adapter_path(tmp_path / "first", 0)
    tensors = load_file(start / WEIGHTS_FILE)
    part = {name: tensor for name, tensor in tensors.items() if "q_proj" in name}
    assert 0 < len(part) < len(tensors)
    save_file(part, start / WEIGHTS_FILE)
    (attempt,) = first.attempts
    still = replace(attempt, start=start, recipe=replace(RECIPE, learning_rate=1e-12, seed=9))
    train_here(job(tiny_base, tiny_shape, attempts=(still,)), tmp_path / "second")
    trained = load_file(adapter_path(tmp_path / "second", 0) / WEIGHTS_FILE)
    assert trained.keys() == tensors.keys()
    for name, tensor in trained.items():
        if name in part:
            assert np.allclose(tensor, part[name], atol=1e-6), name
        elif "lora_B" in name:
            assert np.abs(tensor).max() < 1e-6, f"{name}: a layer that was left out changes nothing"
    foreign = {"base_model.model.model.layers.7.mlp.up_proj.lora_A.weight": np.zeros((1, 1), dtype=np.float32)}
    save_file(part | foreign, start / WEIGHTS_FILE)
    with pytest.raises(TrainingFailed, match="does not fit"):
        train_here(job(tiny_base, tiny_shape, attempts=(still,)), tmp_path / "third")


async def test_a_child_that_takes_too_long_is_killed(tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="longer than"):
        await trainer(trainer_timeout_seconds=0.3).train(job(tiny_base, tiny_shape), tmp_path, on_progress=_ignore)
    assert not result_path(tmp_path, 0).exists()


def test_a_base_that_is_not_there_fails_with_a_reason(tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="tokenizer"):
        train_here(job(tiny_base, tiny_shape, base_directory=tmp_path / "absent"), tmp_path / "out")


@pytest.mark.parametrize("place", ["base_model.load_base", "trainer.MultiLoraTrainer", "dry_run.dry_run"])
def test_memory_that_runs_out_outside_the_steps_fails_with_what_to_do(
    place: str, tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def full(*arguments: Any, **named: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(f"sealserve.learning.multi_lora.{place}", full)
    with pytest.raises(TrainingFailed, match=r"do not fit into memory; lower learn\.training\.rank"):
        train_here(job(tiny_base, tiny_shape), tmp_path)


def test_an_attempt_without_sequences_is_refused(tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path) -> None:
    empty = Attempt(index=0, recipe=RECIPE, steps=4, order=())
    with pytest.raises(TrainingFailed, match="candidate 0 has 0 sequences"):
        train_here(job(tiny_base, tiny_shape, attempts=(empty,)), tmp_path)


def test_an_adapter_over_another_base_is_not_believed(tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path) -> None:
    asked = job(tiny_base, tiny_shape, steps=2, base_digest="0" * 64)
    train_here(asked, tmp_path)
    with pytest.raises(TrainingFailed, match="another base"):
        trainer()._check_results(asked, tmp_path)


def test_other_weights_at_the_same_path_are_refused(tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path) -> None:
    from sealserve.learning.multi_lora.main import check_base

    check_base(job(tiny_base, tiny_shape))
    with pytest.raises(TrainingFailed, match="is another one"):
        check_base(job(tiny_base, tiny_shape, base_digest="0" * 64))


def test_a_loss_that_is_not_finite_fails_its_candidate_alone(
    tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path
) -> None:
    sound = Attempt(index=0, recipe=RECIPE, steps=20, order=tuple(range(8)) * 10)
    broken = replace(sound, index=1, recipe=replace(RECIPE, learning_rate=1e30))
    asked = job(tiny_base, tiny_shape, attempts=(sound, broken))
    train_here(asked, tmp_path)
    assert [trained.index for trained in trainer()._check_results(asked, tmp_path)] == [0]
    assert "not finite" in read_result(tmp_path, 1).failure
    assert not adapter_path(tmp_path, 1).exists()


def test_a_job_of_which_no_candidate_is_left_says_why(tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path) -> None:
    broken = Attempt(index=0, recipe=replace(RECIPE, learning_rate=1e30), steps=20, order=tuple(range(8)) * 10)
    asked = job(tiny_base, tiny_shape, attempts=(broken,))
    train_here(asked, tmp_path)
    with pytest.raises(TrainingFailed, match="not finite"):
        trainer()._check_results(asked, tmp_path)


def test_a_file_that_is_no_job_is_refused(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text("{}")
    with pytest.raises(TrainingFailed, match="cannot be read"):
        read_job(tmp_path / "job.json")


async def test_the_child_ends_with_its_parent(tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(job(tiny_base, tiny_shape, steps=100_000).to_json())
    command = ["--job", str(tmp_path / "job.json"), "--directory", str(tmp_path), "--candidates", "0"]
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sealserve.learning.multi_lora.main", *command), stdin=asyncio.subprocess.PIPE
    )
    assert child.stdin is not None
    child.stdin.close()  # what a parent's death does
    assert await child.wait() == EXIT_ORPHANED


def train_here(asked: TrainingJob, directory: Path) -> None:
    from sealserve.learning.multi_lora.main import run

    directory.mkdir(exist_ok=True)
    run(asked, directory, mine={attempt.index for attempt in asked.attempts})


def _weights(directory: Path, index: int) -> bytes:
    return (adapter_path(directory, index) / "adapter_model.safetensors").read_bytes()


def _close(one: Path, other: Path) -> bool:
    left, right = (load_file(path / "adapter_model.safetensors") for path in (one, other))
    return left.keys() == right.keys() and all(np.allclose(left[name], right[name], atol=1e-6) for name in left)


def _ignore(report: Json) -> None:
    json.dumps(report)


def _changes_the_model(base: Path, adapter: Path) -> bool:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    ids = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        before = model(input_ids=ids).logits
        after = PeftModel.from_pretrained(model, str(adapter))(input_ids=ids).logits
    return bool((before - after).abs().max() > 1e-3)
