"""A Qwen2 model small enough to make in a test, and adapters for it, sound or broken in one way each.

Random weights: it says nothing sensible, but it says it deterministically and differently under each adapter.
Made with numpy and tokenizers only.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from sealserve.engine.base_model import BaseShape, base_shape

Tensors = dict[str, np.ndarray]

HIDDEN, LAYERS, INNER, CONTEXT, VOCABULARY = 64, 2, 128, 512, 260
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LINEAR = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (HIDDEN, HIDDEN),
    "self_attn.v_proj": (HIDDEN, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INNER, HIDDEN),
    "mlp.up_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
}


def make_tiny_model(directory: Path, *, seed: int = 0) -> Path:
    """Write config, tokenizer and weights; return `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    _write_json(directory / "config.json", _config())
    write_tokenizer(directory)
    save_file(_weights(np.random.default_rng(seed)), directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def make_adapter(
    directory: Path,
    base: Path,
    *,
    seed: int = 1,
    rank: int = 4,
    config: dict[str, object] | None = None,
    change: Callable[[Tensors], None] = lambda tensors: None,
) -> Path:
    """Write a sound adapter for `base`, `config` laid over its configuration, `change` applied to its tensors."""
    directory.mkdir(parents=True, exist_ok=True)
    shape = base_shape(base)
    tensors = _adapter_tensors(shape, seed=seed, rank=rank)
    change(tensors)
    settings: dict[str, object] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 2 * rank,
        "bias": "none",
        "target_modules": sorted({name.rpartition(".")[2] for name in shape.linear}),
        "base_model_name_or_path": shape.digest,
    }
    _write_json(directory / "adapter_config.json", settings | (config or {}))
    save_file(tensors, directory / "adapter_model.safetensors")
    return directory


def _adapter_tensors(shape: BaseShape, *, seed: int, rank: int) -> Tensors:
    random = np.random.default_rng(seed)
    tensors: Tensors = {}
    for name, (outputs, inputs) in shape.linear.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = random.normal(0, 0.3, (rank, inputs)).astype(np.float32)
        tensors[f"base_model.model.{name}.lora_B.weight"] = random.normal(0, 0.3, (outputs, rank)).astype(np.float32)
    return tensors


def _config() -> dict[str, object]:
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": HIDDEN,
        "vocab_size": VOCABULARY,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "eos_token_id": 2,
        "bos_token_id": 0,
    }


def write_tokenizer(directory: Path) -> None:
    """Write a tokenizer of VOCABULARY tokens, with a chat template."""
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = [*specials, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "chat_template": TEMPLATE,
        "model_max_length": CONTEXT,
    }
    _write_json(directory / "tokenizer_config.json", settings)


def _weights(random: np.random.Generator) -> Tensors:
    def matrix(*shape: int) -> np.ndarray:
        return random.normal(0, 1 / np.sqrt(shape[-1]), shape).astype(np.float32)

    ones = np.ones(HIDDEN, dtype=np.float32)
    weights = {"model.embed_tokens.weight": matrix(VOCABULARY, HIDDEN), "model.norm.weight": ones}
    for layer in range(LAYERS):
        stem = f"model.layers.{layer}"
        weights |= {f"{stem}.{name}.weight": matrix(*shape) for name, shape in LINEAR.items()}
        weights |= {f"{stem}.self_attn.{side}_proj.bias": np.zeros(HIDDEN, dtype=np.float32) for side in "qkv"}
        weights |= {f"{stem}.{norm}_layernorm.weight": ones for norm in ("input", "post_attention")}
    return weights


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
