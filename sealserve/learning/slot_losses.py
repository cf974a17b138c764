"""What each slot's rows cost: likelihood of new answers, divergence from a teacher on kept and distilled ones.

The teacher is the base without adapters; what it says of a sequence is computed once and kept. Knows the frozen
model's forward, and nothing of optimizers.

Shapes: B rows, L tokens a row, D hidden size, V vocabulary, N answer tokens, K those with a teacher, G slots.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sealserve.learning.batches import Encoded
from sealserve.learning.packing import Piece, Rows, pack
from sealserve.learning.slots import SlotStack
from sealserve.records import Recipe, Target

TEACHER_ROWS = 16
"""Sequences that the teacher reads at once."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Each slot's loss, and its mean divergence from the base over kept tokens (NaN where none were kept)."""

    loss_G: Tensor
    drift_G: Tensor


class Teacher:
    """The base's last hidden states at answer tokens, by sequence, computed once each."""

    def __init__(self, model: nn.Module, stack: SlotStack, encoded: list[Encoded]) -> None:
        self._model = model
        self._stack = stack
        self._encoded = encoded
        self._hidden: dict[tuple[int, bool], Tensor] = {}

    def read(self, wanted: Iterable[tuple[int, bool]]) -> None:
        """Compute what is missing: of sequence i, behind its own prompt or (True) behind the teacher's."""
        missing = sorted({key for key in wanted if key not in self._hidden}, key=lambda key: len(self._piece(key).ids))
        for start in range(0, len(missing), TEACHER_ROWS):
            keys = missing[start : start + TEACHER_ROWS]
            rows = pack([[self._piece(key) for key in keys]], device=device_of(self._model), together=False)
            self._stack.arrange([], [])
            with torch.no_grad():
                hidden_ND = answers_of(self._model, rows)
            of_pieces = dict(zip(rows.keys, torch.split(hidden_ND, rows.lengths), strict=True))
            self._hidden |= {key: of_pieces[key[0]].clone() for key in keys}

    def hidden(self, keys: Iterable[tuple[int, bool]]) -> Tensor:
        """Return hidden_KD of the sequences' answer tokens, one sequence after another."""
        return torch.cat([self._hidden[key] for key in keys])

    def _piece(self, key: tuple[int, bool]) -> Piece:
        place, is_behind_document = key
        sequence = self._encoded[place]
        if is_behind_document:
            return Piece(key=place, ids=sequence.taught_ids, answer_start=sequence.taught_start)
        return Piece(key=place, ids=sequence.ids, answer_start=sequence.answer_start)


def teacher_key(place: int, sequence: Encoded, recipe: Recipe) -> tuple[int, bool] | None:
    """Return what teaches the sequence under the recipe: the base on its prompt, or on the teacher's; or nothing."""
    if sequence.is_kept:
        return place, False
    return (place, True) if recipe.target == Target.DISTILLATION and sequence.taught_ids else None


def losses(
    model: nn.Module, rows: Rows, recipes: list[Recipe], *, teacher: Teacher, taught: list[tuple[int, bool] | None]
) -> Losses:
    """Return each slot's mean over its answer tokens; gradients flow.

    n answer tokens of one sequence weigh sqrt(n) together, so that lists do not drown words. A taught token costs
    KL(teacher || student), what forgetting follows (RL's Razor, arXiv 2509.04259): kept ones `kept_weight` times,
    distilled ones once. `taught` says what teaches each of the rows' sequences.
    """
    logits_NV = head(model, answers_of(model, rows)).float()
    losses_N = nn.functional.cross_entropy(logits_NV, rows.labels_N, reduction="none")
    lengths = torch.tensor(rows.lengths, device=losses_N.device)
    weights_N = lengths.float().rsqrt().repeat_interleave(lengths)
    slots = len(recipes)
    drift_G = torch.full((slots,), torch.nan, device=losses_N.device)
    keys = [key for key in taught if key is not None]
    if keys:
        is_taught_N = torch.tensor([key is not None for key in taught], device=lengths.device).repeat_interleave(
            lengths
        )
        divergence_K = _divergence(model, teacher.hidden(keys), logits_NV[is_taught_N])
        slots_K = rows.slots_N[is_taught_N]
        is_kept_K = torch.tensor([not key[1] for key in keys], device=lengths.device).repeat_interleave(
            torch.tensor([n for n, key in zip(rows.lengths, taught, strict=True) if key], device=lengths.device)
        )
        drift_G = _means(divergence_K.detach()[is_kept_K], slots_K[is_kept_K], slots)
        factors_G = torch.tensor([recipe.kept_weight for recipe in recipes], device=lengths.device)
        factors_K = torch.where(is_kept_K, factors_G[slots_K], 1.0)
        losses_N = losses_N.masked_scatter(is_taught_N, factors_K * divergence_K)
    zero_G = torch.zeros(slots, device=losses_N.device)
    sums_G = zero_G.index_add(0, rows.slots_N, losses_N * weights_N)
    return Losses(sums_G / zero_G.index_add(0, rows.slots_N, weights_N), drift_G)


def answers_of(model: nn.Module, rows: Rows) -> Tensor:
    """Return hidden_ND, the model's last hidden states of the tokens that predict answer tokens.

    Models with sliding windows and FlexAttention make their own mask from the positions, which start anew with each
    document (transformers' masking_utils.find_packed_sequence_indices); others get it ready-made, which is cheaper.
    """
    inner: Any = model
    stack = getattr(inner, inner.base_model_prefix)
    is_own = _has_other_layers(inner.config) or inner.config._attn_implementation == "flex_attention"
    mask = None if is_own else rows.mask()
    output = stack(input_ids=rows.ids_BL, attention_mask=mask, position_ids=rows.positions_BL, use_cache=False)
    hidden_ND: Tensor = output[0].flatten(0, 1)[rows.picks_N]
    return hidden_ND


def head(model: nn.Module, hidden_ND: Tensor) -> Tensor:
    """Return logits_NV, with what some families do behind the head: Gemma, Granite, Cohere, Falcon-H1."""
    inner: Any = model
    logits_NV: Tensor = inner.get_output_embeddings()(hidden_ND)
    config = inner.config
    if cap := getattr(config, "final_logit_softcapping", None):
        logits_NV = torch.tanh(logits_NV / cap) * cap
    logits_NV = logits_NV / (getattr(config, "logits_scaling", None) or 1.0)
    return logits_NV * (getattr(config, "logit_scale", None) or getattr(config, "lm_head_multiplier", None) or 1.0)


def can_pack(model: nn.Module) -> bool:
    """Return whether documents may share a row: not where a layer carries state from token to token."""
    inner: Any = model
    kinds = set(getattr(inner.config, "layer_types", None) or ["full_attention"])
    return kinds <= {"full_attention", "sliding_attention"}


def device_of(model: nn.Module) -> torch.device:
    """Return where the model is."""
    return next(model.parameters()).device


def _divergence(model: nn.Module, hidden_KD: Tensor, logits_KV: Tensor) -> Tensor:
    with torch.no_grad():
        teacher_KV = head(model, hidden_KD).float().log_softmax(dim=-1)
    return nn.functional.kl_div(logits_KV.log_softmax(dim=-1), teacher_KV, reduction="none", log_target=True).sum(-1)


def _means(values_K: Tensor, slots_K: Tensor, slots: int) -> Tensor:
    zero_G = torch.zeros(slots, device=values_K.device)
    return zero_G.index_add(0, slots_K, values_K) / zero_G.index_add(0, slots_K, torch.ones_like(values_K))


def _has_other_layers(config: Any) -> bool:
    return set(getattr(config, "layer_types", None) or ["full_attention"]) != {"full_attention"}
