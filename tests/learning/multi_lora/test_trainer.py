"""Many adapters in one pass are the adapters that stock PEFT and AdamW train one at a time, whoever is beside them."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from torch import Tensor, nn

from sealserve.errors import TrainingFailed
from sealserve.learning.multi_lora import losses as slot_losses
from sealserve.learning.multi_lora import memory, trainer
from sealserve.learning.multi_lora.batches import Encoded, batches
from sealserve.learning.multi_lora.layers import SlotStack
from sealserve.learning.multi_lora.memory import capacity
from sealserve.learning.multi_lora.optimizer import BETAS, CLIP_NORM, Slot, schedule
from sealserve.learning.multi_lora.packing import Rows
from sealserve.learning.multi_lora.trainer import MultiLoraTrainer, PassContext
from sealserve.learning.training_job import Attempt, TrainingJob, adapter_path, read_result
from sealserve.records.candidates import Recipe, Target
from tests.learning.small_model import SEQUENCES, fresh_model

STEPS = 50
TOLERANCE = 1e-4
"""Relative difference of what an adapter adds to a layer, in the Frobenius norm, float32. Seen: up to 5e-5 with a
`kept_weight` of 10, up to 7e-5 with 30."""

NEW = [place for place, sequence in enumerate(SEQUENCES) if not sequence.is_kept]

RECIPE = Recipe(
    templates=(),
    rank=4,
    alpha=8,
    learning_rate=1e-3,
    epochs=1,
    batch_size=2,
    loss_on_answers=True,
    rehearsal=0.0,
    seed=3,
    kept_weight=10.0,
    change_weight=20.0,
)


def attempt(index: int, **changes: Any) -> Attempt:
    """Return an attempt on random sequences, one of them a new one in every step, as in training.

    Of a step that only keeps what the base says, while an adapter adds next to nothing, the gradient is rounding alone.
    AdamW divides by its size: two right trainers then go two ways.
    """
    recipe = replace(RECIPE, seed=100 + index, **changes.pop("recipe", {}))
    steps = changes.pop("steps", STEPS)
    generator = torch.Generator().manual_seed(recipe.seed)
    drawn = torch.randint(0, len(SEQUENCES), (steps * recipe.batch_size,), generator=generator).tolist()
    order = [NEW[one % len(NEW)] if at % recipe.batch_size == 0 else one for at, one in enumerate(drawn)]
    return Attempt(index=index, recipe=recipe, steps=steps, order=tuple(order))


def job(attempts: list[Attempt]) -> TrainingJob:
    return TrainingJob(base_directory=Path("none"), base_digest="0" * 64, sequences=(), attempts=tuple(attempts))


def train(attempts: list[Attempt], directory: Path, *, capacity: int = 8, **changes: Any) -> list[dict[str, Tensor]]:
    """Train in one pass; return what each adapter adds to each layer."""
    directory.mkdir(exist_ok=True)
    bench = PassContext(model=fresh_model(), encoded=SEQUENCES, dtype=torch.float32, capacity=capacity, **changes)
    MultiLoraTrainer(job(attempts), attempts, bench=bench, directory=directory, say=lambda **_: None).run()
    return [added(directory, attempt) for attempt in attempts]


def added(directory: Path, attempt: Attempt) -> dict[str, Tensor]:
    values = load_file(adapter_path(directory, attempt.index) / "adapter_model.safetensors")
    return _products(values, scale=attempt.recipe.alpha / attempt.recipe.rank)


def stock(attempt: Attempt, initial: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[float]]:
    """Train the attempt alone: stock PEFT, torch's AdamW and clipping, padded batches, the base asked at every step."""
    recipe = attempt.recipe
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    config = LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules=names, task_type="CAUSAL_LM")
    model = PeftModel(fresh_model(), config)
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(initial[name.replace(".default", "")])
    optimizer = torch.optim.AdamW(parameters.values(), betas=BETAS, weight_decay=0.0)
    losses: list[float] = []
    for step, batch in enumerate(batches(attempt, SEQUENCES)):
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * schedule(step, attempt.steps)
        loss = _stock_loss(model, recipe, [SEQUENCES[place] for place in batch])
        (loss + recipe.change_weight * _change(model)).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters.values(), CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if len(losses) >= 10 and sum(losses[-10:]) / 10 < recipe.stop_loss:
            break
    values = {name.replace(".default", ""): p.detach() for name, p in parameters.items()}
    return _products(values, scale=recipe.alpha / recipe.rank), losses


recipes = st.fixed_dictionaries(
    {
        "rank": st.sampled_from(range(1, 7)),
        "alpha": st.sampled_from([4, 8, 16]),
        "learning_rate": st.sampled_from([3e-4, 1e-3, 3e-3]),
        "batch_size": st.sampled_from(range(1, 5)),
        "stop_loss": st.sampled_from([0.0, 3.6, 4.0]),
        "target": st.sampled_from(Target),
    }
)
attempts = st.lists(st.tuples(recipes, st.sampled_from([20, STEPS])), min_size=2, max_size=3)


@settings(
    max_examples=6, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(drawn=attempts)
def test_one_pass_equals_as_many_separate_runs_of_stock_peft(
    drawn: list[tuple[dict[str, Any], int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    torch.set_num_threads(1)
    asked = [attempt(index, recipe=recipe, steps=steps) for index, (recipe, steps) in enumerate(drawn)]
    directory = tmp_path_factory.mktemp("pass")
    together = train(asked, directory, capacity=2)  # so that one takes the place of another
    for one, mine in zip(asked, together, strict=True):
        theirs, losses = stock(one, initial(one))
        assert difference(mine, theirs) <= TOLERANCE
        assert read_result(directory, one.index).steps == len(losses)


def test_who_trains_beside_a_slot_and_who_waits_changes_nothing(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    asked = [attempt(0), attempt(1, recipe={"rank": 6, "batch_size": 4}), attempt(2, steps=12)]
    together = train(asked, tmp_path / "together")
    for one, beside in zip(asked, together, strict=True):
        (alone,) = train([one], tmp_path / f"alone-{one.index}")
        assert difference(alone, beside) <= TOLERANCE


def test_an_interrupted_pass_goes_on_from_its_checkpoint_to_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    asked = [attempt(0, steps=20), attempt(1, steps=20)]
    whole = train(asked, tmp_path / "whole")
    taken = count()

    def dies(*arguments: Any, **named: Any) -> Any:
        if next(taken) == 13:
            raise KeyboardInterrupt
        return losses(*arguments, **named)

    losses = slot_losses.losses
    monkeypatch.setattr(trainer, "losses", dies)
    with pytest.raises(KeyboardInterrupt):
        train(asked, tmp_path / "broken", checkpoint_seconds=0.0)
    resumed = train(asked, tmp_path / "broken")
    assert next(taken) == 14 + 20 - 13  # the thirteen steps before are not taken again
    for one, other in zip(whole, resumed, strict=True):
        assert difference(one, other) <= 1e-6
    assert not list((tmp_path / "broken").glob(".checkpoint*"))


def test_slots_that_do_not_fit_wait_and_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    asked = [attempt(index, steps=8) for index in range(3)]
    whole = train(asked, tmp_path / "whole")

    def limited(model: nn.Module, rows: Rows, recipes: list[Recipe], **named: Any) -> Any:
        if len(recipes) > 1 and next(taken) in (3, 5):  # first activations are kept no more, then slots go
            raise torch.OutOfMemoryError
        return losses(model, rows, recipes, **named)

    taken, losses = count(), slot_losses.losses
    monkeypatch.setattr(trainer, "losses", limited)
    for one, other in zip(whole, train(asked, tmp_path / "limited"), strict=True):
        assert difference(one, other) <= TOLERANCE


def test_what_one_slot_cannot_hold_fails_and_says_what_to_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **named: Any) -> Any:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(trainer, "losses", full)
    with pytest.raises(TrainingFailed, match=r"learn\.training\.batch_size"):
        train([attempt(0), attempt(1)], tmp_path)


def test_children_that_share_a_device_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = fresh_model(), [attempt(index) for index in range(64)]
    alone = capacity(model, asked[:1], SEQUENCES, children=1)
    assert alone == 1
    one_slot = memory._adapter_bytes(model, asked) + memory._activation_bytes(model, asked, SEQUENCES)
    monkeypatch.setattr(memory, "_free_bytes", lambda model: int(41.5 * one_slot / memory.SHARE))
    assert [capacity(model, asked, SEQUENCES, children=n) for n in (1, 2, 4, 100)] == [41, 20, 10, 1]


def test_ranks_above_an_attempts_own_stay_zero_under_training(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    asked = [attempt(0, recipe={"rank": 2}, steps=5), attempt(1, recipe={"rank": 6}, steps=5)]
    slots: list[Slot] = []
    bench = PassContext(model=fresh_model(), encoded=SEQUENCES, dtype=torch.float32, capacity=2)
    passing = MultiLoraTrainer(job(asked), asked, bench=bench, directory=tmp_path, say=lambda **_: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passing, "_finish", slots.append)
        passing.run()
    for name, (a_RI, b_OR) in passing._stack.parts(slots[0].weights_P).items():
        assert a_RI[:2].any(), name
        assert b_OR[:, :2].any(), name
        assert not a_RI[2:].any(), name
        assert not b_OR[:, 2:].any(), name


def test_the_tokens_that_a_candidate_read_are_counted(tmp_path: Path) -> None:
    whole, short = attempt(0, steps=4), attempt(1, steps=4, recipe={"stop_loss": 1e9, "batch_size": 3})
    train([whole, replace(short, steps=20, order=short.order * 5)], tmp_path)
    assert read_result(tmp_path, 0).tokens == sum(len(SEQUENCES[place].ids) for place in whole.order)
    seen = (short.order * 5)[: 3 * read_result(tmp_path, 1).steps]
    assert read_result(tmp_path, 1).tokens == sum(len(SEQUENCES[place].ids) for place in seen)


def test_a_penalty_on_weight_change_and_one_on_drift_lower_what_they_name(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    free = attempt(0, recipe={"kept_weight": 0.0, "change_weight": 0.0})
    held = replace(free, index=1, recipe=replace(free.recipe, change_weight=3000.0))
    kept = replace(free, index=2, recipe=replace(free.recipe, kept_weight=20.0))
    train([free, held, kept], tmp_path)
    results = [read_result(tmp_path, index) for index in range(3)]
    assert (results[1].weight_change or 9) < 0.8 * (results[0].weight_change or 0)
    assert (results[2].drift or 9) < 0.8 * (results[0].drift or 0)


def initial(one: Attempt) -> dict[str, Tensor]:
    stack = SlotStack(fresh_model(), rank=one.recipe.rank, dtype=torch.float32)
    pairs = stack.parts(stack.fresh_adapter(rank=one.recipe.rank, seed=one.recipe.seed))
    sides = {"A": 0, "B": 1}
    return {f"base_model.model.{n}.lora_{s}.weight": pair[at] for n, pair in pairs.items() for s, at in sides.items()}


def difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """Return the largest relative difference over all layers."""
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).norm() / b[name].norm()) for name in a)


def _products(values: dict[str, Tensor], *, scale: float) -> dict[str, Tensor]:
    return {
        name.removesuffix(".lora_A.weight"): scale * values[name.replace("lora_A", "lora_B")] @ a
        for name, a in values.items()
        if "lora_A" in name
    }


def _stock_loss(model: PeftModel, recipe: Recipe, batch: list[Encoded]) -> Tensor:
    total = torch.zeros(())
    weights = 0.0
    logits = _padded_logits(model, [s.ids for s in batch])
    for row, s in enumerate(batch):
        answer = torch.tensor(s.ids[s.answer_start :])
        mine = logits[row, s.answer_start - 1 : len(s.ids) - 1]
        losses = nn.functional.cross_entropy(mine, answer, reduction="none")
        is_distilled = not s.is_kept and bool(s.taught_ids) and recipe.target is Target.DISTILLATION
        if s.is_kept or is_distilled:
            ids, start = (s.taught_ids, s.taught_start) if is_distilled else (s.ids, s.answer_start)
            with torch.no_grad(), model.disable_adapter():
                base = _padded_logits(model, [ids])[0, start - 1 : len(ids) - 1].log_softmax(-1)
            losses = (base.exp() * (base - mine.log_softmax(-1))).sum(-1) * (recipe.kept_weight if s.is_kept else 1.0)
        total = total + losses.sum() / len(answer) ** 0.5
        weights += len(answer) ** 0.5
    return total / weights


def _change(model: PeftModel) -> Tensor:
    """The squared norm of what the adapter adds, relative to that of the weights it adds to."""
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    added = sum((layer.get_delta_weight("default").square().sum() for layer in layers), torch.zeros(()))
    weights = sum((layer.get_base_layer().weight.square().sum() for layer in layers), torch.zeros(()))
    return added / weights


def _padded_logits(model: PeftModel, rows: list[list[int]]) -> Tensor:
    length = max(map(len, rows))
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    attention = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    logits: Tensor = model(input_ids=ids, attention_mask=attention, use_cache=False).logits
    return logits
