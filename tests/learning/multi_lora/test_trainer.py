"""Many adapters in one pass are the adapters that stock PEFT and AdamW train one at a time, whoever is beside them."""

from collections.abc import Sequence
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
from sealserve.learning.multi_lora.memory import plan
from sealserve.learning.multi_lora.optimizer import BETAS, CLIP_NORM, Slot, schedule
from sealserve.learning.multi_lora.packing import Rows
from sealserve.learning.multi_lora.trainer import MultiLoraTrainer, PassContext
from sealserve.learning.training_job import Attempt, TrainingJob, adapter_path, read_result
from sealserve.records.candidates import Recipe, Target
from tests.learning.small_model import SEQUENCES, fresh_model

pytestmark = pytest.mark.slow  # trains

STEPS = 50
TOLERANCE = 1e-4
"""Relative difference of what an adapter adds to a layer, in the Frobenius norm, float32. Seen: up to 5e-5 with a
`kl_weight` of 10, up to 7e-5 with 30."""

LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

NEW = [place for place, sequence in enumerate(SEQUENCES) if not sequence.is_kept]

RECIPE = Recipe(
    templates=(),
    rank=4,
    alpha=8,
    learning_rate=1e-3,
    epochs=1,
    batch_size=2,
    loss_on_answers=True,
    retention=0.0,
    seed=3,
    kl_weight=10.0,
    weight_change_penalty=20.0,
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


def train(
    attempts: list[Attempt], directory: Path, *, capacity: int = 8, say: Any = lambda **_: None, **changes: Any
) -> list[dict[str, Tensor]]:
    """Train in one pass; return what each adapter adds to each layer."""
    directory.mkdir(exist_ok=True)
    bench = PassContext(model=fresh_model(), encoded=SEQUENCES, dtype=torch.float32, capacity=capacity, **changes)
    MultiLoraTrainer(job(attempts), attempts, bench=bench, directory=directory, say=say).run()
    return [added(directory, attempt) for attempt in attempts]


def added(directory: Path, attempt: Attempt) -> dict[str, Tensor]:
    values = load_file(adapter_path(directory, attempt.index) / "adapter_model.safetensors")
    return _products(values, scale=attempt.recipe.alpha / attempt.recipe.rank)


def stock(
    attempt: Attempt, initial: dict[str, Tensor], *, base: Any = None, layers: Sequence[str] = LAYERS
) -> tuple[dict[str, Tensor], list[float]]:
    """Train the attempt alone: stock PEFT, torch's AdamW and clipping, padded batches, the base asked at every step."""
    recipe = attempt.recipe
    config = LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules=list(layers), task_type="CAUSAL_LM")
    model = PeftModel(base or fresh_model(), config)
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(initial[name.replace(".default", "")])
    optimizer = torch.optim.AdamW(parameters.values(), betas=BETAS, weight_decay=0.0)
    losses: list[float] = []
    for step, batch in enumerate(batches(attempt, SEQUENCES)):
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * schedule(step, attempt.steps)
        loss = _stock_loss(model, recipe, [SEQUENCES[place] for place in batch])
        (loss + recipe.weight_change_penalty * _change(model)).backward()  # type: ignore[no-untyped-call]
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
        if len(recipes) > 1 and next(taken) in (3, 5, 10):
            raise torch.OutOfMemoryError
        return losses(model, rows, recipes, **named)

    taken, losses = count(), slot_losses.losses
    monkeypatch.setattr(trainer, "losses", limited)
    said: list[dict[str, Any]] = []
    for one, other in zip(
        whole, train(asked, tmp_path / "limited", say=lambda **report: said.append(report)), strict=True
    ):
        assert difference(one, other) <= TOLERANCE
    steps_back = [sorted(report.keys() - {"why"}) for report in said if "why" in report]
    assert steps_back == [["tokens"], [], ["slots"]]  # a step in parts, then recomputed activations, then fewer slots


@pytest.mark.parametrize("tokens", [1, 60, 100])
@pytest.mark.parametrize("is_packed", [True, False])
def test_steps_in_parts_are_whole_steps(
    tokens: int, is_packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    if not is_packed:
        monkeypatch.setattr(trainer, "use_packing", lambda model: False)
    recipe = {"batch_size": 4, "target": Target.DISTILLATION}
    asked = [attempt(0, steps=12, recipe=recipe), attempt(1, steps=12), attempt(2, steps=12, recipe={"batch_size": 3})]
    whole = train(asked, tmp_path / "whole")
    sizes: list[int] = []

    def counted(model: nn.Module, rows: Rows, *others: Any, **named: Any) -> Any:
        sizes.append(len(rows.keys))
        return losses(model, rows, *others, **named)

    losses = slot_losses.losses
    monkeypatch.setattr(trainer, "losses", counted)
    for one, other in zip(whole, train(asked, tmp_path / "parts", tokens=tokens), strict=True):
        assert difference(one, other) <= TOLERANCE
    assert len(sizes) > 12
    drifts = [[read_result(tmp_path / name, one.index).drift for one in asked] for name in ("whole", "parts")]
    assert drifts[1] == pytest.approx(drifts[0], rel=1e-2)


def test_what_one_slot_cannot_hold_fails_and_says_what_to_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **named: Any) -> Any:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(trainer, "losses", full)
    with pytest.raises(TrainingFailed, match=r"learn\.training\.rank"):
        train([attempt(0), attempt(1)], tmp_path)


def test_children_that_share_a_device_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    one_slot = 1000 * memory.ADAPTER_BYTES + 100 * 50  # and its longest sequence
    monkeypatch.setattr(memory, "_free_bytes", lambda device: int(41.5 * one_slot / memory.SHARE))

    def room(wanted: int, children: int) -> memory.Room:
        device = torch.device("cpu")
        return plan(device, wanted=wanted, numbers=1000, longest=100, token_bytes=50, children=children)

    assert [room(64, children).slots for children in (1, 2, 4, 100)] == [41, 20, 10, 1]
    assert room(64, 100).tokens == 100  # less than a sequence cannot be held
    assert room(2, 1).tokens == pytest.approx((41.5 * one_slot - 2 * 1000 * memory.ADAPTER_BYTES) / 50, abs=1)
    assert plan(torch.device("cpu"), wanted=3, numbers=1, longest=1, token_bytes=1, children=1).slots == 3


def test_what_a_token_keeps_until_backward_is_counted_without_weights() -> None:
    model = fresh_model()
    saved = memory.SavedBytes(model)
    x = torch.randn(5, 16, requires_grad=True)
    with saved.hooks():
        (model.model.layers[0].mlp.down_proj(torch.nn.functional.linear(x, torch.ones(24, 16)).exp())).sum()
    assert saved.total == 24 * 16 * 4 + 5 * 24 * 4  # the new matrix, and what exp returns


def test_memory_that_runs_out_anywhere_is_explained() -> None:
    for error in (
        torch.OutOfMemoryError("CUDA"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    ):
        with pytest.raises(TrainingFailed, match="do not fit into memory"), memory.memory_errors_explained():
            raise error
    with pytest.raises(RuntimeError, match="else"), memory.memory_errors_explained():
        raise RuntimeError("something else")


def test_ranks_above_an_attempts_own_stay_zero_under_training(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    asked = [attempt(0, recipe={"rank": 2}, steps=5), attempt(1, recipe={"rank": 6}, steps=5)]
    slots: list[Slot] = []
    bench = PassContext(model=fresh_model(), encoded=SEQUENCES, dtype=torch.float32, capacity=2)
    passing = MultiLoraTrainer(job(asked), asked, bench=bench, directory=tmp_path, say=lambda **_: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passing, "_finish", slots.append)
        passing.run()
    for name, (a_RI, b_OR) in passing.stack.parts(slots[0].weights_P).items():
        assert a_RI[:2].any(), name
        assert b_OR[:, :2].any(), name
        assert not a_RI[2:].any(), name
        assert not b_OR[:, 2:].any(), name


def test_the_tokens_that_a_candidate_read_are_counted(tmp_path: Path) -> None:
    whole, short = attempt(0, steps=4), attempt(1, steps=4, recipe={"stop_loss": 1e9, "batch_size": 3})
    train([whole, replace(short, steps=20, order=short.order * 5)], tmp_path)
    assert read_result(tmp_path, 0).tokens == sum(len(SEQUENCES[place].ids) for place in whole.order)
    answers = [len(SEQUENCES[place].ids) - SEQUENCES[place].answer_start for place in whole.order]
    assert read_result(tmp_path, 0).answer_tokens == sum(answers)
    seen = (short.order * 5)[: 3 * read_result(tmp_path, 1).steps]
    assert read_result(tmp_path, 1).tokens == sum(len(SEQUENCES[place].ids) for place in seen)


def test_a_penalty_on_weight_change_and_one_on_drift_lower_what_they_name(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    free = attempt(0, recipe={"kl_weight": 0.0, "weight_change_penalty": 0.0})
    held = replace(free, index=1, recipe=replace(free.recipe, weight_change_penalty=3000.0))
    kept = replace(free, index=2, recipe=replace(free.recipe, kl_weight=20.0))
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
            losses = (base.exp() * (base - mine.log_softmax(-1))).sum(-1) * (recipe.kl_weight if s.is_kept else 1.0)
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
