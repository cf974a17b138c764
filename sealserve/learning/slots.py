"""Many LoRA adapters over one frozen model at once: each linear layer bears one pair of matrices per slot.

The model stays stock; its linear layers are wrapped. The tokens of a batch belong to slots, and a slot's tokens meet
its own matrices alone. Weights and gradients of all layers of one slot lie side by side, so that clipping and stepping
take one operation each. Knows nothing of losses, attempts or optimizers.

Shapes: G slots, R rank, I inputs, O outputs, T tokens of all slots, P numbers of one slot's adapter; S: the tokens as
products of each slot take them, the same number of each slot (padded), or on CUDA just T.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import grouped_mm

from sealserve.errors import TrainingFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which tokens of the current batch are whose, slot after slot, and how each meets its slot's matrices."""

    slots: int = 0  # 0: the base alone
    tokens: int = 0
    scales_S1: Tensor = field(default_factory=lambda: torch.empty(0, 1))  # each slot's alpha / rank; 0: padding
    ends_G: Tensor | None = None  # tokens up to each slot's end, int32; None: S is padded, as much of each slot
    places_S: Tensor | None = None  # the token at each place of S; None: S is T
    back_T: Tensor | None = None  # the place in S of each token

    @classmethod
    def of(cls, scales: Sequence[float], counts: Sequence[int], *, tokens: int, like: Tensor) -> "Layout":
        """Return the layout of so many tokens of each slot, and of `tokens` in all, in `like`'s dtype and device."""
        if not counts:
            return cls()
        counts_G = torch.tensor(counts, dtype=torch.long, device=like.device)
        scales_G = torch.tensor(scales, dtype=like.dtype, device=like.device)
        is_grouped = like.device.type == "cuda"
        if is_grouped or (len(set(counts)) <= 1 and sum(counts) == tokens):
            scales_S1 = scales_G.repeat_interleave(counts_G)[:, None]
            ends_G = counts_G.cumsum(0).int() if is_grouped else None
            return cls(slots=len(counts), tokens=tokens, scales_S1=scales_S1, ends_G=ends_G)
        steps_L = torch.arange(max(counts), device=like.device)
        is_token_GL = steps_L < counts_G[:, None]
        starts_G1 = (counts_G.cumsum(0) - counts_G)[:, None]
        places_GL = starts_G1 + torch.minimum(steps_L, counts_G[:, None] - 1)  # padding is the slot's own, even if NaN
        return cls(
            slots=len(counts),
            tokens=tokens,
            scales_S1=(scales_G[:, None] * is_token_GL).view(-1, 1),
            places_S=places_GL.flatten(),
            back_T=nn.functional.pad(is_token_GL.flatten().nonzero()[:, 0], (0, tokens - sum(counts))),
        )

    def spread(self, x_TI: Tensor) -> Tensor:
        """Return x_SI: the tokens as `each` and `sums` take them."""
        return x_TI if self.places_S is None else x_TI.index_select(0, self.places_S)

    def each(self, x_SI: Tensor, w_GIO: Tensor) -> Tensor:
        """Return every token times its slot's matrix, S x O."""
        if self.ends_G is not None:
            return grouped_mm(x_SI, w_GIO, offs=self.ends_G)
        return torch.bmm(x_SI.view(self.slots, -1, x_SI.shape[1]), w_GIO).flatten(0, 1)

    def add_each(self, y_TO: Tensor, x_SI: Tensor, w_GIO: Tensor) -> None:
        """Add to every token of y_TO what `each` returns."""
        if self.ends_G is not None:
            y_TO += grouped_mm(x_SI, w_GIO, offs=self.ends_G)
        elif self.back_T is not None:
            y_TO += self.each(x_SI, w_GIO).index_select(0, self.back_T)
        else:
            y_GTO, x_GTI = (v.view(self.slots, -1, v.shape[1]) for v in (y_TO, x_SI))
            y_GTO.baddbmm_(x_GTI, w_GIO)

    def sum_into(self, w_GIO: Tensor, x_SI: Tensor, y_SO: Tensor, *, adds: bool) -> None:
        """Write, or add, each slot's sum over its tokens of the outer products into w_GIO."""
        if self.ends_G is None:
            x_GLI, y_GLO = (v.view(self.slots, -1, v.shape[1]) for v in (x_SI, y_SO))
            w_GIO.baddbmm_(x_GLI.transpose(1, 2), y_GLO, beta=int(adds))
        elif adds:
            w_GIO += grouped_mm(x_SI.t(), y_SO, offs=self.ends_G)
        else:
            w_GIO.copy_(grouped_mm(x_SI.t(), y_SO, offs=self.ends_G))


@dataclass(slots=True)
class _Shared:
    """What the wrapped layers of one model have in common."""

    layout: Layout
    dtype: torch.dtype
    anchor: Tensor  # makes autograd walk through layers whose inputs need no gradient
    last: tuple[Tensor, Tensor, Tensor] | None = None

    def taken(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return `x` as x_TI in the dtype of computation, and as x_SI; query, key and value share one copy."""
        if self.last is None or self.last[0] is not x:
            x_TI = x.to(self.dtype).flatten(0, -2)
            if self.layout.tokens != len(x_TI):
                raise TrainingFailed("this model sends tokens through its layers in another number than it is given")
            with torch.no_grad():
                self.last = x, x_TI, self.layout.spread(x_TI)
        return self.last[1:]


class SlotLinear(nn.Module):
    """A frozen linear layer plus, for the tokens of slot g, scale_g * (x A_g^T) B_g^T (arXiv 2106.09685)."""

    weight: Tensor
    bias: Tensor | None
    a_GIR: Tensor
    b_GRO: Tensor
    a_grad_GIR: Tensor
    b_grad_GRO: Tensor

    def __init__(self, base: nn.Linear, shared: _Shared) -> None:
        super().__init__()
        self.inputs, self.outputs = base.in_features, base.out_features
        self.norm_squared = float(base.weight.detach().float().square().sum())
        self.register_buffer("weight", base.weight.detach().to(shared.dtype), persistent=False)
        bias = base.bias.detach().to(shared.dtype) if base.bias is not None else None
        self.register_buffer("bias", bias, persistent=False)
        self.shared = shared
        self.has_gradients = False

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's outputs for `x`, whose leading dimensions are rows and tokens."""
        if not self.shared.layout.slots:
            return nn.functional.linear(x.to(self.shared.dtype), self.weight, self.bias)
        x_TI, x_SI = self.shared.taken(x)
        y_TO: Tensor = _WithSlots.apply(x_TI, x_SI, self.shared.anchor, self)  # type: ignore[no-untyped-call]
        return y_TO.view(*x.shape[:-1], self.outputs)


class _WithSlots(torch.autograd.Function):
    """The layer's forward, and a backward that leaves gradients of A and B where the slots keep them."""

    @staticmethod
    def forward(ctx: Any, x_TI: Tensor, x_SI: Tensor, anchor: Tensor, layer: SlotLinear) -> Tensor:
        layout = layer.shared.layout
        low_SR = layout.each(x_SI, layer.a_GIR).mul_(layout.scales_S1)
        y_TO = nn.functional.linear(x_TI, layer.weight, layer.bias)
        layout.add_each(y_TO, low_SR, layer.b_GRO)
        ctx.layer = layer
        ctx.save_for_backward(x_SI, low_SR)
        return y_TO

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None, None]:
        layer: SlotLinear = ctx.layer
        layout = layer.shared.layout
        x_SI, low_SR = ctx.saved_tensors
        dy_TO = gradients[0].contiguous()
        dy_SO = layout.spread(dy_TO)
        dlow_SR = layout.each(dy_SO, layer.b_GRO.transpose(1, 2)).mul_(layout.scales_S1)
        layout.sum_into(layer.a_grad_GIR, x_SI, dlow_SR, adds=layer.has_gradients)
        layout.sum_into(layer.b_grad_GRO, low_SR, dy_SO, adds=layer.has_gradients)
        layer.has_gradients = True  # what a step leaves first is written; a layer that is met again adds
        if not ctx.needs_input_grad[0]:
            return None, None, None, None
        dx_TI = dy_TO @ layer.weight
        layout.add_each(dx_TI, dlow_SR, layer.a_GIR.transpose(1, 2))
        return dx_TI, None, None, None


class SlotStack:
    """The slots over one model. Backward leaves their gradients, which `gradient` returns."""

    def __init__(self, base: nn.Module, *, rank: int, dtype: torch.dtype) -> None:
        """Wrap every linear layer of `base`'s stack (Schulman et al., "LoRA Without Regret", 2025); the head stays.

        Raises: TrainingFailed (there is none).
        """
        device = next(base.parameters()).device
        self.rank = rank
        self._shared = _Shared(Layout(), dtype, torch.zeros((), device=device, requires_grad=True))
        self.layers = _wrapped(base, self._shared)
        self.size = sum((layer.inputs + layer.outputs) * rank for layer in self.layers.values())
        self.weights_GP = torch.empty(0, self.size, device=device)
        self._compute_GP = self.weights_GP
        self._gradients_GP = self.weights_GP

    def fill(self, adapters: Sequence[Tensor]) -> None:
        """Put copies of the adapters into as many slots; `weights_GP` holds them from now on."""
        self.weights_GP = torch.stack(list(adapters))
        is_same = self._shared.dtype == torch.float32
        self._compute_GP = self.weights_GP if is_same else self.weights_GP.to(self._shared.dtype)
        self._gradients_GP = torch.zeros_like(self._compute_GP)
        weights, gradients = (self.parts(values_GP) for values_GP in (self._compute_GP, self._gradients_GP))
        for name, layer in self.layers.items():
            layer.a_GIR, layer.b_GRO = (part.mT for part in weights[name])
            layer.a_grad_GIR, layer.b_grad_GRO = (part.mT for part in gradients[name])

    def parts(self, values_GP: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Return views (A, B), R x I and O x R, of each layer, with `values_GP`'s leading dimensions.

        Both lie transposed, as tokens are multiplied by them.
        """
        at, found = 0, {}
        lead = values_GP.shape[:-1]
        for name, layer in self.layers.items():
            middle, end = at + self.rank * layer.inputs, at + self.rank * (layer.inputs + layer.outputs)
            a = values_GP[..., at:middle].view(*lead, layer.inputs, self.rank).mT
            found[name] = a, values_GP[..., middle:end].view(*lead, self.rank, layer.outputs).mT
            at = end
        return found

    def arrange(self, scales: Sequence[float], counts: Sequence[int], *, tokens: int) -> None:
        """Say whose the next batch's tokens are: so many of each slot, in order, then of none. No slots: the base's."""
        self._shared.layout = Layout.of(scales, counts, tokens=tokens, like=self._compute_GP)
        self._shared.last = None
        for layer in self.layers.values():
            layer.has_gradients = False

    def refresh(self, place: int) -> None:
        """Compute with the slot's `weights_GP` as they are now."""
        if self._compute_GP is not self.weights_GP:
            self._compute_GP[place] = self.weights_GP[place]

    def gradient(self, place: int, *, change_weight: float, scale: float) -> Tensor:
        """Return the slot's gradient_P of the last backward, float32, and change_weight * |scale BA|^2 / |W|^2's."""
        gradient_P = self._gradients_GP[place].float()
        idle = [name for name, layer in self.layers.items() if not layer.has_gradients]
        if not change_weight and not idle:
            return gradient_P
        gradients, weights = self.parts(gradient_P), self.parts(self.weights_GP[place])
        for name in idle:
            for part in gradients[name]:
                part.zero_()
        factor = 2 * change_weight * scale**2 / self._norm_squared()
        for name, (a_RI, b_OR) in weights.items():
            gradients[name][0].add_(b_OR.t() @ b_OR @ a_RI, alpha=factor)
            gradients[name][1].add_(b_OR @ (a_RI @ a_RI.t()), alpha=factor)
        return gradient_P

    def fresh_adapter(self, *, rank: int, seed: int) -> Tensor:
        """Return the numbers of a new adapter: A as PEFT draws it, B zero, ranks above `rank` zero.

        Each layer's A is uniform in +-1/sqrt(inputs): kaiming_uniform with a = sqrt(5), as nn.Linear and PEFT's
        LoraLayer.reset_lora_parameters have it.
        """
        generator = torch.Generator().manual_seed(seed)
        adapter_P = torch.zeros(self.size)
        for a_RI, _ in self.parts(adapter_P).values():
            nn.init.kaiming_uniform_(a_RI[:rank], a=5**0.5, generator=generator)
        return adapter_P.to(self.weights_GP.device)

    def weight_change(self, adapter_P: Tensor, *, scale: float) -> float:
        """Return the Frobenius norm of what the adapter adds, relative to that of the weights it adds to."""
        added = 0.0
        for a_RI, b_OR in self.parts(adapter_P).values():  # |BA|^2 = tr(B'B AA'): no product of full size is made
            added += float(((b_OR.t() @ b_OR) * (a_RI @ a_RI.t())).sum())
        return scale * math.sqrt(max(0.0, added) / self._norm_squared())

    def _norm_squared(self) -> float:
        return sum(layer.norm_squared for layer in self.layers.values())


def _wrapped(base: nn.Module, shared: _Shared) -> dict[str, SlotLinear]:
    names = [name for name, module in base.named_modules() if isinstance(module, nn.Linear) and ".layers." in name]
    if not names:
        raise TrainingFailed("this model's layers have no linear modules that LoRA could change")
    layers = {}
    for name in names:
        parent, _, child = name.rpartition(".")
        linear = base.get_submodule(name)
        assert isinstance(linear, nn.Linear)
        layers[name] = SlotLinear(linear, shared)
        setattr(base.get_submodule(parent), child, layers[name])
    return layers
