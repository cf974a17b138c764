"""A model of a few thousand weights, and sequences for it, for tests of the trainer."""

from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from sealserve.learning.multi_lora.batches import Encoded

VOCABULARY = 48


def fresh_model(**changes: Any) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
        initializer_range=0.3,
        **changes,
    )
    return Qwen2ForCausalLM(config).requires_grad_(False).eval()


def sequence(number: int, *, length: int, answer: int, is_kept: bool = False, document: int = 0) -> Encoded:
    generator = torch.Generator().manual_seed(number)
    ids = torch.randint(1, VOCABULARY, (length,), generator=generator).tolist()
    behind = torch.randint(1, VOCABULARY, (document,), generator=generator).tolist()
    start = length - answer
    return Encoded(ids, start, is_kept, [*behind, *ids] if document else [], start + document if document else 0)


SEQUENCES = [
    sequence(n, length=4 + 5 * n % 37, answer=1 + n % 3, is_kept=n % 4 == 3, document=9 if n % 4 == 1 else 0)
    for n in range(24)
]
