"""What only a CUDA device can show of training many adapters in one pass."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen2ForCausalLM

from sealserve.learning.multi_lora import losses as slot_losses
from sealserve.learning.multi_lora import trainer
from sealserve.learning.multi_lora.losses import use_packing
from sealserve.learning.multi_lora.trainer import MultiLoraTrainer, PassContext
from sealserve.learning.training_job import read_result
from tests.learning.multi_lora import test_trainer as on_cpu
from tests.learning.small_model import SEQUENCES, fresh_model

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

ASKED = [
    on_cpu.attempt(0, steps=20),
    on_cpu.attempt(1, steps=12, recipe={"rank": 6, "batch_size": 4}),
    on_cpu.attempt(2, steps=20, recipe={"learning_rate": 3e-4}),
]


def base() -> Qwen2ForCausalLM:
    """Return sizes whose rows are multiples of 16 bytes, as products over groups want them."""
    model = fresh_model(hidden_size=64, intermediate_size=96)
    return model.to(device="cuda", dtype=torch.bfloat16)


def train(directory: Path, *, capacity: int = 8, say: Any = lambda **_: None) -> list[float]:
    """Train ASKED in bfloat16; return their last losses."""
    directory.mkdir()
    bench = PassContext(model=base(), encoded=SEQUENCES, dtype=torch.bfloat16, capacity=capacity)
    MultiLoraTrainer(on_cpu.job(ASKED), ASKED, bench=bench, directory=directory, say=say).run()
    return [read_result(directory, one.index).losses[-1] for one in ASKED]


def test_documents_share_a_row() -> None:
    assert use_packing(base())


def test_who_trains_beside_a_slot_changes_nothing_but_rounding(tmp_path: Path) -> None:
    assert train(tmp_path / "together") == pytest.approx(train(tmp_path / "alone", capacity=1), rel=0.05)


def test_one_pass_reaches_the_losses_that_the_cpu_reaches(tmp_path: Path) -> None:
    bench = PassContext(
        model=fresh_model(hidden_size=64, intermediate_size=96),
        encoded=SEQUENCES,
        dtype=torch.float32,
        capacity=8,
    )
    (tmp_path / "cpu").mkdir()
    MultiLoraTrainer(on_cpu.job(ASKED), ASKED, bench=bench, directory=tmp_path / "cpu", say=lambda **_: None).run()
    expected = [read_result(tmp_path / "cpu", one.index).losses[-1] for one in ASKED]
    assert train(tmp_path / "cuda") == pytest.approx(expected, rel=0.05)


def test_memory_that_runs_out_halves_the_slots_and_all_are_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tmp_path / "whole")
    losses = slot_losses.losses

    def greedy(model: Any, rows: Any, recipes: list[Any], **named: Any) -> Any:
        if len(recipes) > 1:
            torch.empty(torch.cuda.mem_get_info()[1], dtype=torch.uint8, device="cuda")  # all there is: it fails
        return losses(model, rows, recipes, **named)

    monkeypatch.setattr(trainer, "losses", greedy)
    said: list[dict[str, Any]] = []
    assert train(tmp_path / "less", say=lambda **report: said.append(report)) == pytest.approx(whole, rel=0.05)
    assert any(report.get("slots") == 1 for report in said)
