"""The nano model's architecture and where its weights are. Imports no torch until a function needs it."""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import Qwen2Config

CONTEXT = 1024


def weights_dir() -> Path:
    """Return the folder of the shipped model: weights, tokenizer, configuration."""
    return Path(str(files("sealserve.nano"))) / "weights"


def architecture(vocabulary_size: int, *, hidden: int = 256, layers: int = 5, feed_forward: int = 512) -> "Qwen2Config":
    """Return the Qwen2 configuration: heads of 64, two query heads to a key-value head, tied embeddings."""
    from transformers import Qwen2Config

    heads = hidden // 64
    return Qwen2Config(
        vocab_size=-(-vocabulary_size // 64) * 64,
        hidden_size=hidden,
        num_hidden_layers=layers,
        intermediate_size=feed_forward,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 2),
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        bos_token_id=None,
        pad_token_id=0,
        eos_token_id=2,
    )
