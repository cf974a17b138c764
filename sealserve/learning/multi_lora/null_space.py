"""Directions of layers' inputs that adapters do not read: those that hold most of what the base reads otherwise.

They are measured on the retention set. Each layer's A is kept orthogonal to them, so that BA adds next to nothing for
inputs of that kind, whatever is learned (gradient projection memory, arXiv 2103.09762; for LoRA: InfLoRA, arXiv
2404.00228). Inputs count with length 1, since those of a few tokens are very long.

Shapes: T tokens, I inputs of a layer, K directions.
"""

import random
from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from sealserve.learning.multi_lora.batches import Encoded
from sealserve.learning.multi_lora.layers import SlotStack
from sealserve.learning.multi_lora.losses import Teacher

SAMPLE_TOKENS = 8192
"""Of the retention set: several times the inputs of most layers."""

MOMENT_BYTES = 2**29
"""Of second moments at once. Layers that need more are measured in further passes over the sample."""


def protected_directions(
    stack: SlotStack, teacher: Teacher, encoded: Sequence[Encoded], *, share: float
) -> list[Tensor]:
    """Return U_IK of each group of layers: the fewest orthonormal directions that hold `share` of its inputs' energy.

    They are none where no sequence is kept.
    """
    directions = [torch.empty(size, 0, device=stack.weights_GP.device) for size in stack.inputs]
    sample = _sample(encoded)
    for block in _blocks(stack.inputs) if sample else []:
        moments_II = {place: directions[place].new_zeros(stack.inputs[place], stack.inputs[place]) for place in block}
        teacher.observe(sample, moments_II)
        for place in block:
            directions[place] = _leading(moments_II.pop(place), share)
    return directions


def _sample(encoded: Sequence[Encoded]) -> list[int]:
    """Return places of kept sequences, drawn at random, up to SAMPLE_TOKENS."""
    kept = [place for place, sequence in enumerate(encoded) if sequence.is_kept]
    random.Random(0).shuffle(kept)
    ends = accumulate(len(encoded[place].ids) for place in kept)
    return [place for place, end in zip(kept, ends, strict=True) if end <= SAMPLE_TOKENS] or kept[:1]


def _blocks(inputs: Sequence[int]) -> list[list[int]]:
    """Return the places in blocks whose second moments fit into MOMENT_BYTES; at least one a block."""
    blocks: list[list[int]] = [[]]
    taken = 0
    for place, size in enumerate(inputs):
        needed = 4 * size * size
        if blocks[-1] and taken + needed > MOMENT_BYTES:
            blocks.append([])
            taken = 0
        blocks[-1].append(place)
        taken += needed
    return blocks


def _leading(moment_II: Tensor, share: float) -> Tensor:
    """Return the fewest eigenvectors that hold `share` of the trace, but not all."""
    values_I, vectors_II = torch.linalg.eigh(moment_II)  # in ascending order
    held_I = values_I.clamp(min=0).flip(0).cumsum(0)
    count = int((held_I < share * held_I[-1]).sum()) + 1
    leading_IK: Tensor = vectors_II[:, -min(count, len(vectors_II) - 1) :].contiguous()
    return leading_IK
