"""Attention over documents packed end to end in one row: each document attends to itself, and no full mask is built.

Registered with transformers under NAME; a model that uses it is called with `documents`. Supports plain causal
attention and sliding windows; a model that asks for more (caps on scores, sinks) is refused with TypeError.

Shapes: H heads, T tokens, C numbers a head, D documents, M tokens of the longest.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from sealserve.learning.multi_lora.packing import Documents

NAME = "documents"

PLAIN_TOKENS = 256
"""Up to this long, the CPU attends faster by plain products than by its fused kernel, whose backward alone takes a
fifth of a step of 15 slots of 64 tokens (2.4 s of processor time for 9 such steps, against 3.0 s)."""

UNKNOWN = ("softcap", "s_aux")


def attend(
    module: nn.Module,
    query_1HTC: Tensor,
    key_1HTC: Tensor,
    value_1HTC: Tensor,
    attention_mask: Tensor | None,
    *,
    documents: Documents,
    scaling: float,
    sliding_window: int | None = None,
    **other: Any,
) -> tuple[Tensor, None]:
    """Return 1 x T x H x C, and no weights. Raises: TypeError (this is not plain attention)."""
    if any(other.get(name) is not None for name in UNKNOWN):
        raise TypeError("attention with caps or sinks is not plain attention")
    dtype = value_1HTC.dtype
    q, k, v = (_apart(x_1HTC.to(dtype), documents) for x_1HTC in (query_1HTC, key_1HTC, value_1HTC))
    longest = q.shape[2]
    mask_MM = _mask(longest, sliding_window or longest, like=q)
    if q.device.type == "cpu" and longest <= PLAIN_TOKENS:
        with torch.autocast("cpu", enabled=False):
            out_DHMC = _plain(q, k, v, mask_MM, scaling)
    else:
        is_causal = not sliding_window or sliding_window >= longest
        out_DHMC = nn.functional.scaled_dot_product_attention(
            q, k, v, None if is_causal else mask_MM, is_causal=is_causal, scale=scaling, enable_gqa=True
        )
    return _together(out_DHMC, documents), None


AttentionInterface.register(NAME, attend)


def _plain(q_DHMC: Tensor, k_DHMC: Tensor, v_DHMC: Tensor, mask_MM: Tensor, scaling: float) -> Tensor:
    """Query heads that share a key head stand behind each other, as more tokens of it: keys are not repeated.

    Without autocast, softmax computes in float32 all the same but reads and writes `v`'s dtype.
    """
    heads, longest, size = k_DHMC.shape[1:]
    q = q_DHMC.reshape(-1, q_DHMC.shape[1] // heads * longest, size)
    k, v = k_DHMC.flatten(0, 1), v_DHMC.flatten(0, 1)
    scores = torch.bmm(q, k.transpose(1, 2)) * scaling
    scores = scores.view(-1, longest, longest) + mask_MM
    weights = scores.softmax(dim=-1)
    return torch.bmm(weights.view(*q.shape[:2], longest), v).view(q_DHMC.shape)


def _mask(longest: int, window: int, *, like: Tensor) -> Tensor:
    seen_MM = torch.ones((longest, longest), dtype=torch.bool, device=like.device).tril().triu(1 - window)
    return like.new_zeros(longest, longest).masked_fill_(~seen_MM, -torch.inf)


def _apart(x_1HTC: Tensor, documents: Documents) -> Tensor:
    """Return each document's tokens, D x H x M x C."""
    heads = x_1HTC.shape[1]
    x: Tensor = _Moved.apply(  # type: ignore[no-untyped-call]
        x_1HTC[0].transpose(0, 1).flatten(0, 1), *_places(documents, heads), None
    )
    return x.view(len(documents.places_DM), heads, -1, x.shape[1])


def _together(x_DHMC: Tensor, documents: Documents) -> Tensor:
    """Return the documents' tokens end to end, 1 x T x H x C."""
    heads, size = x_DHMC.shape[1], x_DHMC.shape[3]
    there, back = _places(documents, heads)
    is_token = documents.is_token_DM[:, None, :, None].expand(-1, heads, -1, 1).reshape(-1, 1)
    x: Tensor = _Moved.apply(x_DHMC.reshape(-1, size), back, there, is_token)  # type: ignore[no-untyped-call]
    return x.view(1, -1, heads, size)


def _places(documents: Documents, heads: int) -> tuple[Tensor, Tensor]:
    """Return which row of (T H) x C stands at each of (D H M) x C, and where each stands."""
    if heads in documents.of_heads:
        return documents.of_heads[heads]
    heads_H = torch.arange(heads, device=documents.back_T.device)
    there_DHM = documents.places_DM[:, None] * heads + heads_H[:, None]
    longest = documents.places_DM.shape[1]
    back_TH = (documents.back_T // longest * heads * longest + documents.back_T % longest)[:, None] + heads_H * longest
    documents.of_heads[heads] = there_DHM.flatten(), back_TH.flatten()
    return documents.of_heads[heads]


class _Moved(torch.autograd.Function):
    """Rows at other places. Backward reads, too, where indexing would add into zeros row by row."""

    @staticmethod
    def forward(ctx: Any, x_RC: Tensor, there: Tensor, back: Tensor, has_gradient: Tensor | None) -> Tensor:
        ctx.save_for_backward(back, has_gradient)
        return x_RC.index_select(0, there)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        back, has_gradient = ctx.saved_tensors
        gradient = gradients[0].index_select(0, back)
        return gradient if has_gradient is None else gradient * has_gradient, None, None, None
