"""Adapters of many model families: trained as stock PEFT trains them, and accepted by pre-flight over their base."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from sealserve.engine.base_model import base_shape
from sealserve.engine.preflight import check_adapter
from sealserve.errors import TrainingFailed
from sealserve.learning.multi_lora import layers
from sealserve.learning.multi_lora import trainer as multi_lora_trainer
from sealserve.learning.multi_lora.base_model import checkpoint_name, load_base
from sealserve.learning.multi_lora.dry_run import dry_run, refused_by_name
from sealserve.learning.multi_lora.losses import is_packed
from sealserve.learning.multi_lora.trainer import MultiLoraTrainer, PassContext
from sealserve.learning.training_job import Attempt, TrainingJob, adapter_path, read_result
from tests.learning.multi_lora import test_trainer as stock_peft
from tests.learning.small_model import SEQUENCES

pytestmark = pytest.mark.slow  # trains

WINDOW = 8
"""Tokens; sequences have up to 40."""

SIZES: dict[str, Any] = {
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.2,
}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
SLIDING = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]}
EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A model type of transformers, its sizes beyond SIZES, and whether its documents share a row."""

    kind: str
    sizes: dict[str, Any] = field(default_factory=dict)
    is_packed: bool = True
    has_experts: bool = False


GEMMA_WITH_VISION = Family(kind="gemma3", sizes={"text_config": {**SIZES, **SLIDING}, "vision_config": VISION})

FAMILIES = [
    Family(kind="llama"),
    Family(kind="llama", sizes={"tie_word_embeddings": True, "attention_bias": True}),
    Family(kind="qwen2"),
    Family(kind="qwen3"),
    Family(kind="mistral", sizes={"sliding_window": WINDOW}),
    Family(kind="gemma"),
    Family(kind="gemma2", sizes={**SLIDING, "attn_logit_softcapping": 0.5}, is_packed=False),
    Family(kind="gemma3_text", sizes=SLIDING),
    GEMMA_WITH_VISION,
    Family(kind="phi"),
    Family(kind="phi3", sizes={"sliding_window": WINDOW}),
    Family(kind="smollm3"),
    Family(kind="gpt_neox"),
    Family(kind="olmo2"),
    Family(kind="olmo3", sizes=SLIDING),
    Family(kind="granite", sizes={"logits_scaling": 4.0, "residual_multiplier": 0.5, "embedding_multiplier": 3.0}),
    Family(kind="cohere", sizes={"logit_scale": 0.5}),
    Family(kind="cohere2", sizes={**SLIDING, "logit_scale": 0.5}),
    Family(kind="glm4"),
    Family(kind="lfm2", sizes={"layer_types": ["conv", "full_attention"]}, is_packed=False),
    Family(kind="mixtral", sizes=EXPERTS, has_experts=True),
    Family(kind="qwen3_moe", sizes=EXPERTS, has_experts=True),
    Family(kind="gpt_oss", sizes={**SLIDING, **EXPERTS}, is_packed=False, has_experts=True),
]


def write_base(family: Family, directory: Path) -> Path:
    """Write a base of the family, of random weights, as its maker would."""
    torch.manual_seed(0)
    config = CONFIG_MAPPING[family.kind](**(family.sizes if "text_config" in family.sizes else SIZES | family.sizes))
    AutoModelForCausalLM.from_config(config).save_pretrained(directory)
    return directory


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.kind)
def test_one_pass_trains_what_stock_peft_trains_and_preflight_accepts_it(family: Family, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    base = write_base(family, tmp_path / "base")
    shape = base_shape(base)
    job, bench, trainer = _pass(base, tmp_path)
    assert is_packed(bench.model) is family.is_packed
    assert dry_run(job, bench, trainer.stack) > 4 * SIZES["hidden_size"]
    trainer.run()
    for one in job.attempts:
        facts = check_adapter(adapter_path(tmp_path, one.index), shape, max_rank=8)
        start = trainer.stack.parts(trainer.stack.fresh_adapter(rank=one.recipe.rank, seed=one.recipe.seed))
        theirs, losses = _stock(one, base, start)
        mine = stock_peft.added(tmp_path, one)
        assert {f"base_model.model.{module}" for module in facts.modules} == mine.keys()
        assert stock_peft.difference(mine, theirs) <= 1e-3
        result = read_result(tmp_path, one.index)
        assert result.losses == pytest.approx(losses, rel=1e-4)
        assert bool(result.remarks) is family.has_experts


def test_activations_computed_twice_change_nothing(tmp_path: Path) -> None:
    base = write_base(GEMMA_WITH_VISION, tmp_path / "base")  # which asks for more inputs in training mode
    found = []
    for name in ("kept", "twice"):
        (tmp_path / name).mkdir()
        job, bench, trainer = _pass(base, tmp_path / name)
        if name == "twice":
            assert multi_lora_trainer._recompute(bench.model)
            assert not multi_lora_trainer._recompute(bench.model)
        trainer.run()
        found.append(stock_peft.added(tmp_path / name, job.attempts[0]))
    assert stock_peft.difference(*found) <= 1e-5


def test_an_adapter_that_would_be_refused_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = write_base(GEMMA_WITH_VISION, tmp_path / "base")
    monkeypatch.setattr(layers, "checkpoint_name", lambda model, name: name)
    job, bench, trainer = _pass(base, tmp_path)
    with pytest.raises(TrainingFailed, match=r"^Gemma3ForConditionalGeneration cannot .* belongs to no layer"):
        dry_run(job, bench, trainer.stack)


def test_a_base_that_computes_nonsense_is_refused_before_training(tmp_path: Path) -> None:
    job, bench, trainer = _pass(write_base(FAMILIES[0], tmp_path / "base"), tmp_path)
    bench.model.get_submodule("model.norm").weight.data.fill_(torch.nan)  # type: ignore[operator]
    with pytest.raises(TrainingFailed, match=r"^LlamaForCausalLM cannot be trained: the loss is not finite"):
        dry_run(job, bench, trainer.stack)


def test_layers_that_lora_cannot_change_are_refused_by_name(tmp_path: Path) -> None:
    base = write_base(Family(kind="gpt2"), tmp_path / "base")
    with pytest.raises(TrainingFailed, match=r"^GPT2LMHeadModel cannot be trained: its layers have no linear modules"):
        _pass(base, tmp_path)


def test_a_model_that_is_not_loaded_for_text_is_refused_by_name(tmp_path: Path) -> None:
    config = CONFIG_MAPPING["mistral3"](architectures=["Mistral3ForConditionalGeneration"])
    config.save_pretrained(tmp_path)
    with pytest.raises(TrainingFailed, match=r"^Mistral3ForConditionalGeneration cannot be trained: Unrecognized"):
        load_base(tmp_path)


def test_what_a_model_cannot_do_is_said_with_its_name() -> None:
    with pytest.raises(TrainingFailed, match=r"^Linear cannot be trained: TypeError: no position_ids"):
        with refused_by_name(nn.Linear(1, 1)):
            raise TypeError("no position_ids")
    with pytest.raises(torch.OutOfMemoryError), refused_by_name(nn.Linear(1, 1)):
        raise torch.OutOfMemoryError


def _pass(base: Path, directory: Path) -> tuple[TrainingJob, PassContext, MultiLoraTrainer]:
    asked = [stock_peft.attempt(index, steps=4, recipe={"rank": 2 + index, "batch_size": 3}) for index in range(2)]
    job = replace(stock_peft.job(asked), base_directory=base, base_digest=base_shape(base).digest)
    bench = PassContext(model=load_base(base), encoded=SEQUENCES, dtype=torch.float32, capacity=2)
    return job, bench, MultiLoraTrainer(job, asked, bench=bench, directory=directory, say=lambda **_: None)


def _stock(one: Attempt, base: Path, start: dict[str, tuple[Tensor, Tensor]]) -> tuple[dict[str, Tensor], list[float]]:
    """Train with stock PEFT the layers that `start` names as the base's files do; return their names so."""
    model = load_base(base)
    loaded = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    name_of = {checkpoint_name(model, name): name for name in loaded}
    rank = one.recipe.rank
    initial = {}
    for name, (a_RI, b_OR) in start.items():
        initial[f"base_model.model.{name_of[name]}.lora_A.weight"] = a_RI[:rank]
        initial[f"base_model.model.{name_of[name]}.lora_B.weight"] = b_OR[:, :rank]
    found, losses = stock_peft.stock(one, initial, base=model, layers=[name_of[name] for name in start])
    stored = {f"base_model.model.{loaded}": f"base_model.model.{name}" for name, loaded in name_of.items()}
    return {stored[name]: value for name, value in found.items()}, losses
