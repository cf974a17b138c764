"""Adapters of many model families: trained as stock PEFT trains them, and accepted by pre-flight over their base."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, Mistral3Config, Mistral3ForConditionalGeneration

from sealserve.engine.base_model import base_shape
from sealserve.engine.preflight import check_adapter
from sealserve.errors import TrainingFailed
from sealserve.learning.multi_lora.base_model import checkpoint_name, load_base
from sealserve.learning.multi_lora.dry_run import dry_run, refused_by_name
from sealserve.learning.multi_lora.losses import is_packed
from sealserve.learning.multi_lora.trainer import MultiLoraTrainer, PassContext
from sealserve.learning.training_job import adapter_path, read_result
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


FAMILIES = [
    Family(kind="llama"),
    Family(kind="llama", sizes={"tie_word_embeddings": True, "attention_bias": True}),
    Family(kind="qwen2"),
    Family(kind="qwen3"),
    Family(kind="mistral", sizes={"sliding_window": WINDOW}),
    Family(kind="gemma"),
    Family(kind="gemma2", sizes={**SLIDING, "attn_logit_softcapping": 0.5}, is_packed=False),
    Family(kind="gemma3_text", sizes=SLIDING),
    Family(kind="gemma3", sizes={"text_config": {**SIZES, **SLIDING}, "vision_config": VISION}),
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
    Family(kind="falcon_h1", is_packed=False),
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
    asked = [stock_peft.attempt(index, steps=4, recipe={"rank": 2 + index, "batch_size": 3}) for index in range(2)]
    shape = base_shape(base)
    job = replace(stock_peft.job(asked), base_directory=base, base_digest=shape.digest)
    bench = PassContext(model=load_base(base), encoded=SEQUENCES, dtype=torch.float32, capacity=2)
    trainer = MultiLoraTrainer(job, asked, bench=bench, directory=tmp_path, say=lambda **_: None)
    assert is_packed(bench.model) is family.is_packed
    assert dry_run(job, bench, trainer.stack) > 4 * SIZES["hidden_size"]
    trainer.run()
    for one in asked:
        facts = check_adapter(adapter_path(tmp_path, one.index), shape, max_rank=8)
        start = trainer.stack.parts(trainer.stack.fresh_adapter(rank=one.recipe.rank, seed=one.recipe.seed))
        theirs, losses = _stock(one, base, start)
        mine = stock_peft.added(tmp_path, one)
        assert {f"base_model.model.{module}" for module in facts.modules} == mine.keys()
        assert stock_peft.difference(mine, theirs) <= 1e-3
        result = read_result(tmp_path, one.index)
        assert result.losses == pytest.approx(losses, rel=1e-4)
        assert bool(result.remarks) is family.has_experts


def _stock(
    one: Any, base: Path, start: dict[str, tuple[Tensor, Tensor]]
) -> tuple[dict[str, Tensor], list[float]]:
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
