"""How many slots fit into memory at once: a first estimate, which the pass halves if it was too high."""

import os
from typing import Any

import torch
from torch import nn

from sealserve.learning.multi_lora.batches import Encoded
from sealserve.learning.training_job import Attempt

SHARE = 0.6
"""Of free memory that slots may take: the rest is for what the guess leaves out, for logits, and for serving."""

ADAPTER_BYTES = 20
"""Per number of an adapter in float32: weight, gradient, two moments, and a copy to compute with."""

HIDDEN_COPIES, INNER_COPIES = 24, 8
"""Activations that a layer keeps per token until backward, in hidden and feed-forward sizes, float32 (counted on
Qwen2: norms, query, key, value, output, their casts; gate, up, their product)."""


def capacity(model: nn.Module, attempts: list[Attempt], encoded: list[Encoded], *, children: int) -> int:
    """Return how many of the attempts to train at once, at least 1, where `children` share the device's memory."""
    each = _adapter_bytes(model, attempts) + _activation_bytes(model, attempts, encoded)
    return max(1, min(len(attempts), int(SHARE * _free_bytes(model) / children / each)))


def _adapter_bytes(model: nn.Module, attempts: list[Attempt]) -> int:
    linear = [m for name, m in model.named_modules() if isinstance(m, nn.Linear) and ".layers." in name]
    numbers = sum(module.in_features + module.out_features for module in linear)
    return ADAPTER_BYTES * numbers * max(attempt.recipe.rank for attempt in attempts)


def _activation_bytes(model: nn.Module, attempts: list[Attempt], encoded: list[Encoded]) -> int:
    config: Any = model.config
    longest = max(len(sequence.ids) for sequence in encoded)
    batch = max(attempt.recipe.batch_size for attempt in attempts)
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    token = 4 * config.num_hidden_layers * (HIDDEN_COPIES * config.hidden_size + INNER_COPIES * inner)
    return int(batch * longest * token)


def _free_bytes(model: nn.Module) -> int:
    if next(model.parameters()).device.type == "cuda":
        return torch.cuda.mem_get_info()[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
