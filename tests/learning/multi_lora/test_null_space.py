"""Adapters with a protected share do not read what the base reads on the retention set."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sealserve.learning.multi_lora import null_space
from sealserve.learning.multi_lora.layers import SlotStack
from sealserve.learning.multi_lora.losses import Teacher
from sealserve.learning.multi_lora.null_space import protected_directions
from sealserve.learning.multi_lora.trainer import MultiLoraTrainer, PassContext
from sealserve.learning.training_job import Attempt, TrainingJob, adapter_path, read_result
from sealserve.records.candidates import Recipe
from tests.learning.small_model import SEQUENCES, fresh_model

pytestmark = pytest.mark.slow  # torch takes seconds to import
SHARE = 0.8
STEPS = 30

RECIPE = Recipe(
    templates=(),
    rank=4,
    alpha=8,
    learning_rate=3e-3,
    epochs=1,
    batch_size=4,
    loss_on_answers=True,
    retention=0.25,
    seed=3,
    kl_weight=0.0,  # nothing else restrains the adapter
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def directions_of(share: float) -> tuple[SlotStack, list[Tensor]]:
    model = fresh_model()
    stack = SlotStack(model, rank=4, dtype=torch.float32)
    return stack, protected_directions(stack, Teacher(model, stack, SEQUENCES), SEQUENCES, share=share)


def moment_of(layer: str) -> Tensor:
    """What the untouched model's layer reads on kept sequences, each input at length 1, as II."""
    model = fresh_model()
    seen: list[Tensor] = []

    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(nn.functional.normalize(inputs[0].flatten(0, -2), dim=1))

    model.get_submodule(layer).register_forward_pre_hook(note)
    with torch.no_grad():
        for sequence in SEQUENCES:
            if sequence.is_kept:
                model(torch.tensor([sequence.ids]))
    read_TI = torch.cat(seen)
    return read_TI.T @ read_TI


def train(directory: Path, **changes: Any) -> tuple[dict[str, Tensor], float, float]:
    """Return the adapter, its drift from the base on kept sequences, and its last loss."""
    directory.mkdir(exist_ok=True)
    recipe = replace(RECIPE, **changes)
    new = [place for place, one in enumerate(SEQUENCES) if not one.is_kept]
    kept = [place for place, one in enumerate(SEQUENCES) if one.is_kept]
    order = [kept[at // 4 % len(kept)] if at % 4 == 0 else new[at % len(new)] for at in range(STEPS * 4)]
    attempt = Attempt(index=0, recipe=recipe, steps=STEPS, order=tuple(order))
    job = TrainingJob(base_directory=Path("none"), base_digest="0" * 64, sequences=(), attempts=(attempt,))
    bench = PassContext(model=fresh_model(), encoded=SEQUENCES, dtype=torch.float32, capacity=1)
    trainer = MultiLoraTrainer(job, [attempt], bench=bench, directory=directory, say=lambda **_: None)
    trainer.protect()
    trainer.run()
    result = read_result(directory, 0)
    assert result.drift is not None
    return load_file(adapter_path(directory, 0) / "adapter_model.safetensors"), result.drift, result.losses[-1]


@pytest.mark.parametrize("moment_bytes", [null_space.MOMENT_BYTES, 1])
def test_the_fewest_directions_hold_the_share(moment_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(null_space, "MOMENT_BYTES", moment_bytes)
    stack, directions = directions_of(SHARE)
    assert [len(u_IK) for u_IK in directions] == stack.inputs
    for layer, u_IK in zip(("q_proj", "o_proj", "gate_proj", "down_proj"), directions, strict=False):
        owner = "self_attn" if layer in ("q_proj", "o_proj") else "mlp"
        moment_II = moment_of(f"model.layers.0.{owner}.{layer}")
        count = u_IK.shape[1]
        assert torch.allclose(u_IK.T @ u_IK, torch.eye(count), atol=1e-5)
        held = (u_IK * (moment_II @ u_IK)).sum() / moment_II.trace()
        best = torch.linalg.eigvalsh(moment_II).flip(0).cumsum(0) / moment_II.trace()
        assert best[count - 1] >= SHARE > (best[count - 2] if count > 1 else 0)
        assert held == pytest.approx(float(best[count - 1]), abs=1e-4)


def test_without_kept_sequences_nothing_is_protected() -> None:
    model = fresh_model()
    stack = SlotStack(model, rank=4, dtype=torch.float32)
    new = [one for one in SEQUENCES if not one.is_kept]
    directions = protected_directions(stack, Teacher(model, stack, new), new, share=SHARE)
    assert [u_IK.shape[1] for u_IK in directions] == [0] * len(stack.inputs)


def test_a_trained_adapter_reads_none_of_the_directions(tmp_path: Path) -> None:
    values, *_ = train(tmp_path, protected_share=SHARE)
    _, directions = directions_of(SHARE)
    for name, a_RI in values.items():
        if "layers.0.self_attn.q_proj.lora_A" in name or "layers.0.self_attn.v_proj.lora_A" in name:
            assert (a_RI @ directions[0]).norm() < 1e-5 * a_RI.norm()
            assert a_RI.norm() > 0


def test_strength_scales_what_an_adapter_adds_and_nothing_else(tmp_path: Path) -> None:
    whole, *_ = train(tmp_path / "whole")
    part, *_ = train(tmp_path / "part", strength=0.5)
    for name, value in whole.items():
        torch.testing.assert_close(part[name], value * (0.5 if "lora_B" in name else 1), rtol=0, atol=0)


def test_what_is_kept_changes_less_while_new_sequences_are_learned(tmp_path: Path) -> None:
    _, drift, loss = train(tmp_path / "free")
    _, protected_drift, protected_loss = train(tmp_path / "protected", protected_share=SHARE)
    assert protected_drift < 0.5 * drift
    assert protected_loss < 3.5  # a model that knows nothing: ln 48 = 3.9
    assert loss < 3.5
