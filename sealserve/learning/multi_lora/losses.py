"""The losses of each slot: likelihood of new answers, and KL divergence from a teacher on retained and distilled ones.

The teacher is the base without adapters; its distribution over a sequence is computed once and cached.

Shapes: B rows, L tokens a row, D hidden size, V vocabulary, N answer tokens, K those with a teacher, G slots.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sealserve.learning.multi_lora import attention
from sealserve.learning.multi_lora.base_model import text_stack
from sealserve.learning.multi_lora.batches import Encoded
from sealserve.learning.multi_lora.layers import SlotStack
from sealserve.learning.multi_lora.packing import Piece, Rows, pack
from sealserve.records.candidates import Recipe, Target

TEACHER_ROWS = 16
"""Sequences that the teacher reads at once."""

PART_BYTES = {"cpu": 2**20, "cuda": 2**29}
"""Of logits that are computed at once, in float32: what fits into a core's cache, or beside the weights."""

PROBE_LENGTHS = (9, 5)
PROBE_TOLERANCE = 0.05
"""Relative; bfloat16 alone makes 0.01."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Each slot's loss, its sum of divergence from the base over kept tokens, and how many these are; of a part add."""

    loss_G: Tensor
    drift_G: Tensor
    kept_G: Tensor

    def __add__(self, other: "Losses") -> "Losses":
        return Losses(
            self.loss_G.detach() + other.loss_G.detach(), self.drift_G + other.drift_G, self.kept_G + other.kept_G
        )


class Teacher:
    """The base's last hidden states at answer tokens, by sequence, computed once each."""

    def __init__(self, model: nn.Module, stack: SlotStack, encoded: list[Encoded]) -> None:
        self._model = model
        self._stack = stack
        self._encoded = encoded
        self._hidden: dict[tuple[int, bool], Tensor] = {}

    def read(self, wanted: Iterable[tuple[int, bool]]) -> None:
        """Compute what is missing: of sequence i, behind its own prompt or (True) behind the teacher's."""
        for keys, rows in self._packed({key for key in wanted if key not in self._hidden}):
            of_pieces = dict(zip(rows.keys, torch.split(self._read(rows), rows.lengths), strict=True))
            self._hidden |= {key: of_pieces[key[0]].clone() for key in keys}

    def observe(self, places: Iterable[int], moments_II: Mapping[int, Tensor]) -> None:
        """Add up, for some groups of layers, the outer products of the inputs of the sequences at these places."""
        for _, rows in self._packed((place, False) for place in places):
            with self._stack.observed(moments_II, rows.is_token_BL.flatten()):
                self._read(rows)

    def _packed(self, wanted: Iterable[tuple[int, bool]]) -> Iterator[tuple[list[tuple[int, bool]], Rows]]:
        ordered = sorted(wanted, key=lambda key: len(self._piece(key).ids))
        for start in range(0, len(ordered), TEACHER_ROWS):
            keys = ordered[start : start + TEACHER_ROWS]
            pieces = [[self._piece(key) for key in keys]]
            yield keys, pack(pieces, device=device_of(self._model), together=is_packed(self._model))

    def _read(self, rows: Rows) -> Tensor:
        """Return hidden_ND of the base alone."""
        self._stack.arrange([], [], tokens=rows.ids_BL.numel())
        with torch.no_grad():
            return answers_of(self._model, rows)

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
    model: nn.Module,
    rows: Rows,
    recipes: list[Recipe],
    *,
    teacher: Teacher,
    taught: list[tuple[int, bool] | None],
    totals_G: Tensor,
) -> Losses:
    """Return what the rows add to each slot's mean over the answer tokens of its batch; gradients flow.

    `totals_G` is the weight of each slot's whole batch, of which the rows may hold a part (`batch_weight`). n answer
    tokens of one sequence weigh sqrt(n) together, so that lists do not drown words. A taught token costs KL(teacher ||
    student), what forgetting follows (RL's Razor, arXiv 2509.04259): kept ones `kl_weight` times, distilled ones once.
    `taught` says what teaches each of the rows' sequences.
    """
    hidden_ND = answers_of(model, rows)
    lengths = torch.tensor(rows.lengths, device=hidden_ND.device)
    taught_N, kept_N = (
        torch.tensor(values, device=hidden_ND.device).repeat_interleave(lengths)
        for values in ([key is not None for key in taught], [key is not None and not key[1] for key in taught])
    )
    keys = [key for key in taught if key is not None]
    teacher_KD = teacher.hidden(keys) if keys else hidden_ND[:0].detach()
    place_N = taught_N.cumsum(0)  # how many taught tokens there are up to each

    def costs(part_ND: Tensor, part: slice) -> Tensor:
        logits_NV = head(model, part_ND).float()
        losses_N = nn.functional.cross_entropy(logits_NV, rows.labels_N[part], reduction="none")
        is_taught_N = taught_N[part]
        if not keys or not is_taught_N.any():
            return losses_N
        last = int(place_N[part][-1])
        divergence_K = _divergence(model, teacher_KD[last - int(is_taught_N.sum()) : last], logits_NV[is_taught_N])
        return losses_N.masked_scatter(is_taught_N, divergence_K)

    costs_N = _in_parts(costs, hidden_ND, size=_part_size(model))
    slots = len(recipes)
    zero_G = torch.zeros(slots, device=lengths.device)
    drift_G = zero_G.index_add(0, rows.slots_N[kept_N], costs_N.detach()[kept_N])
    kept_G = zero_G.index_add(0, rows.slots_N[kept_N], torch.ones_like(costs_N.detach()[kept_N]))
    factors_G = torch.tensor([recipe.kl_weight for recipe in recipes], device=lengths.device)
    costs_N = torch.where(kept_N, factors_G[rows.slots_N], 1.0) * costs_N
    weights_N = lengths.float().rsqrt().repeat_interleave(lengths)
    return Losses(zero_G.index_add(0, rows.slots_N, costs_N * weights_N) / totals_G, drift_G, kept_G)


def batch_weight(batch: Iterable[Encoded]) -> float:
    """Return the weight of the batch's answer tokens together."""
    return sum(math.sqrt(len(sequence.ids) - sequence.answer_start) for sequence in batch)


def answers_of(model: nn.Module, rows: Rows) -> Tensor:
    """Return hidden_ND, the model's last hidden states of the tokens that predict answer tokens."""
    stack = text_stack(model)
    documents = {} if rows.documents is None else {"documents": rows.documents}
    output = stack(input_ids=rows.ids_BL, position_ids=rows.positions_BL, use_cache=False, **documents)
    hidden_ND: Tensor = output[0].flatten(0, 1)[rows.picks_N]
    return hidden_ND


def head(model: nn.Module, hidden_ND: Tensor) -> Tensor:
    """Return logits_NV, with what some families do behind the head: Gemma, Granite, Cohere, Falcon-H1."""
    inner: Any = model
    logits_NV: Tensor = inner.get_output_embeddings()(hidden_ND)
    config = inner.config.get_text_config()
    if cap := getattr(config, "final_logit_softcapping", None):
        logits_NV = torch.tanh(logits_NV / cap) * cap
    logits_NV = logits_NV / (getattr(config, "logits_scaling", None) or 1.0)
    return logits_NV * (getattr(config, "logit_scale", None) or getattr(config, "lm_head_multiplier", None) or 1.0)


def use_packing(model: nn.Module) -> bool:
    """Let the model's documents share a row if that changes nothing; return whether they do (see `is_packed`).

    Not where a layer carries state from token to token, nor where attention does more than `attention.py` supports:
    shown by reading two documents both ways.
    """
    inner: Any = model
    kinds = set(getattr(inner.config.get_text_config(), "layer_types", None) or ["full_attention"])
    if not kinds <= {"full_attention", "sliding_attention"}:
        return False
    ids = range(1, 1 + max(PROBE_LENGTHS))
    pieces = [Piece(key=0, ids=list(ids[:length]), answer_start=1) for length in PROBE_LENGTHS]
    stack: Any = text_stack(model)
    before = stack.config._attn_implementation
    with torch.no_grad():
        apart_ND = answers_of(model, pack([pieces], device=device_of(model), together=False))
        inner.set_attn_implementation(attention.NAME)
        try:
            packed_ND = answers_of(model, pack([pieces], device=device_of(model)))
        except TypeError:  # of attend, or of a model that hands nothing on to it
            packed_ND = torch.zeros_like(apart_ND)
    if not (packed_ND - apart_ND).norm() <= PROBE_TOLERANCE * apart_ND.norm():
        inner.set_attn_implementation(before)
    return is_packed(model)


def is_packed(model: nn.Module) -> bool:
    """Return whether the model's documents share a row."""
    stack: Any = text_stack(model)
    return bool(stack.config._attn_implementation == attention.NAME)


def device_of(model: nn.Module) -> torch.device:
    """Return where the model is."""
    return next(model.parameters()).device


def _divergence(model: nn.Module, hidden_KD: Tensor, logits_KV: Tensor) -> Tensor:
    with torch.no_grad():
        teacher_KV = head(model, hidden_KD).float().log_softmax(dim=-1)
    return nn.functional.kl_div(logits_KV.log_softmax(dim=-1), teacher_KV, reduction="none", log_target=True).sum(-1)


def _part_size(model: nn.Module) -> int:
    inner: Any = model
    vocabulary: int = inner.config.get_text_config().vocab_size
    return max(64, PART_BYTES[device_of(model).type] // (4 * vocabulary))


def _in_parts(costs: Callable[[Tensor, slice], Tensor], hidden_ND: Tensor, *, size: int) -> Tensor:
    costs_N: Tensor = _InParts.apply(hidden_ND, costs, size)  # type: ignore[no-untyped-call]
    return costs_N


class _InParts(torch.autograd.Function):
    """Costs of rows and, at once, their gradients, so that logits of all rows are never there together.

    As Liger's fused cross entropy does (arXiv 2410.10989, section 3.2); a row's cost depends on that row alone.
    """

    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, costs: Callable[[Tensor, slice], Tensor], size: int) -> Tensor:
        costs_N = torch.empty(len(hidden_ND), device=hidden_ND.device)
        gradient_ND = torch.empty_like(hidden_ND)
        for start in range(0, len(hidden_ND), size):
            part = slice(start, start + size)
            with torch.enable_grad():
                part_ND = hidden_ND[part].detach().requires_grad_()
                part_N = costs(part_ND, part)
                (gradient_ND[part],) = torch.autograd.grad(part_N.sum(), part_ND)
            costs_N[part] = part_N.detach()
        ctx.save_for_backward(gradient_ND)
        return costs_N

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient_ND,) = ctx.saved_tensors
        return gradients[0][:, None].to(gradient_ND.dtype) * gradient_ND, None, None
