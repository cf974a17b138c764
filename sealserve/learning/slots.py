"""Many LoRA adapters over one frozen model at once: each linear layer bears one pair of matrices per slot.

The model stays stock; its linear layers are wrapped. Rows of a batch belong to slots, and a slot's rows meet its own
matrices alone. Weights and gradients of all layers of one slot lie side by side, so that clipping and stepping
take one operation each. Knows nothing of losses, attempts or optimizers.

Shapes: G slots, R rank, I inputs, O outputs, T tokens of all slots, P numbers of one slot's adapter.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import grouped_mm

from sealserve.errors import TrainingFailed


@dataclass(slots=True)
class Layout:
    """Which tokens of the current batch are whose: slot after slot, as many each unless `ends_G` says otherwise."""

    slots: int = 0  # 0: the base alone
    scales_T1: Tensor = field(default_factory=lambda: torch.empty(0, 1))  # alpha / rank of each token's slot
    ends_G: Tensor | None = None  # tokens up to each slot's end, int32

    def each(self, x_TI: Tensor, w_GIO: Tensor) -> Tensor:
        """Return every token times its slot's matrix, T x O."""
        if self.ends_G is not None:
            return grouped_mm(x_TI, w_GIO, offs=self.ends_G)
        return torch.bmm(x_TI.view(self.slots, -1, x_TI.shape[1]), w_GIO).flatten(0, 1)

    def sums(self, x_TI: Tensor, y_TO: Tensor) -> Tensor:
        """Return each slot's sum over its tokens of the outer products, G x I x O."""
        if self.ends_G is not None:
            return grouped_mm(x_TI.t(), y_TO, offs=self.ends_G)
        x_GTI, y_GTO = (v.view(self.slots, -1, v.shape[1]) for v in (x_TI, y_TO))
        return torch.bmm(x_GTI.transpose(1, 2), y_GTO)


@dataclass(slots=True)
class _Shared:
    """What the wrapped layers of one model have in common."""

    layout: Layout
    dtype: torch.dtype
    anchor: Tensor  # makes autograd walk through layers whose inputs need no gradient
    last: tuple[Tensor | None, Tensor | None] = field(default=(None, None))

    def cast(self, x: Tensor) -> Tensor:
        """Return `x` in the dtype of computation; query, key and value share one copy."""
        if x.dtype == self.dtype:
            return x
        before, after = self.last
        if before is not x or after is None:
            after = x.to(self.dtype)
            self.last = (x, after)
        return after


class SlotLinear(nn.Module):
    """A frozen linear layer plus, for the tokens of slot g, scale_g * (x A_g^T) B_g^T (arXiv 2106.09685)."""

    weight: Tensor
    bias: Tensor | None
    a_GRI: Tensor
    b_GOR: Tensor
    a_grad_GRI: Tensor
    b_grad_GOR: Tensor

    def __init__(self, base: nn.Linear, shared: _Shared) -> None:
        super().__init__()
        self.inputs, self.outputs = base.in_features, base.out_features
        self.norm_squared = float(base.weight.detach().float().square().sum())
        self.register_buffer("weight", base.weight.detach().to(shared.dtype), persistent=False)
        bias = base.bias.detach().to(shared.dtype) if base.bias is not None else None
        self.register_buffer("bias", bias, persistent=False)
        self.shared = shared

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's outputs for `x`, whose leading dimensions are rows and tokens."""
        x = self.shared.cast(x)
        if not self.shared.layout.slots:
            return nn.functional.linear(x, self.weight, self.bias)
        flat_TI = x.reshape(-1, self.inputs)
        if len(self.shared.layout.scales_T1) != len(flat_TI):
            raise TrainingFailed("this model sends tokens through its layers in another number than it is given")
        y_TO: Tensor = _WithSlots.apply(flat_TI, self.shared.anchor, self)  # type: ignore[no-untyped-call]
        return y_TO.view(*x.shape[:-1], self.outputs)


class _WithSlots(torch.autograd.Function):
    """The layer's forward, and a backward that adds gradients of A and B to where the slots keep them."""

    @staticmethod
    def forward(ctx: Any, x_TI: Tensor, anchor: Tensor, layer: SlotLinear) -> Tensor:
        layout = layer.shared.layout
        y_TO = nn.functional.linear(x_TI, layer.weight, layer.bias)
        low_TR = layout.each(x_TI, layer.a_GRI.transpose(1, 2)) * layout.scales_T1
        b_GRO = layer.b_GOR.transpose(1, 2)
        if layout.ends_G is None:
            y_GTO, low_GTR = (v.view(layout.slots, -1, v.shape[1]) for v in (y_TO, low_TR))
            y_GTO.baddbmm_(low_GTR, b_GRO)
        else:
            y_TO += layout.each(low_TR, b_GRO)
        ctx.layer = layer
        ctx.save_for_backward(x_TI, low_TR)
        return y_TO

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        layer: SlotLinear = ctx.layer
        layout = layer.shared.layout
        x_TI, low_TR = ctx.saved_tensors
        dy_TO = gradients[0].contiguous()
        dlow_TR = layout.each(dy_TO, layer.b_GOR) * layout.scales_T1
        layer.b_grad_GOR += layout.sums(dy_TO, low_TR)
        layer.a_grad_GRI += layout.sums(dlow_TR, x_TI)
        if not ctx.needs_input_grad[0]:
            return None, None, None
        dx_TI = dy_TO @ layer.weight
        if layout.ends_G is None:
            dx_GTI, dlow_GTR = (v.view(layout.slots, -1, v.shape[1]) for v in (dx_TI, dlow_TR))
            dx_GTI.baddbmm_(dlow_GTR, layer.a_GRI)
        else:
            dx_TI += layout.each(dlow_TR, layer.a_GRI)
        return dx_TI, None, None


class SlotStack:
    """The slots over one model. `gradients_GP` is where backward adds; whoever steps sets it to zero."""

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
        self.gradients_GP = torch.empty(0, self.size, device=device)
        self._compute_GP = self.weights_GP

    def fill(self, adapters: Sequence[Tensor]) -> None:
        """Put copies of the adapters into as many slots; `weights_GP` holds them from now on."""
        self.weights_GP = torch.stack(list(adapters))
        self.gradients_GP = torch.zeros_like(self.weights_GP)
        is_same = self._shared.dtype == torch.float32
        self._compute_GP = self.weights_GP if is_same else self.weights_GP.to(self._shared.dtype)
        parts, gradients = (self.parts(values_GP) for values_GP in (self._compute_GP, self.gradients_GP))
        for name, layer in self.layers.items():
            layer.a_GRI, layer.b_GOR = parts[name]
            layer.a_grad_GRI, layer.b_grad_GOR = gradients[name]

    def parts(self, values_GP: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Return views (A, B) of each layer, with `values_GP`'s leading dimensions."""
        at, found = 0, {}
        lead = values_GP.shape[:-1]
        for name, layer in self.layers.items():
            middle, end = at + self.rank * layer.inputs, at + self.rank * (layer.inputs + layer.outputs)
            a = values_GP[..., at:middle].view(*lead, self.rank, layer.inputs)
            found[name] = a, values_GP[..., middle:end].view(*lead, layer.outputs, self.rank)
            at = end
        return found

    def arrange(self, scales: Sequence[float], tokens: Sequence[int]) -> None:
        """Say whose the tokens of the next batch are: so many of each slot, in order. No slots: the base alone."""
        device = self.weights_GP.device
        counts_G = torch.tensor(tokens, device=device, dtype=torch.long)
        scales_G = torch.tensor(scales, device=device, dtype=self._shared.dtype)
        is_ragged = device.type == "cuda" or len(set(tokens)) > 1
        self._shared.layout = Layout(
            slots=len(tokens),
            scales_T1=scales_G.repeat_interleave(counts_G)[:, None],
            ends_G=counts_G.cumsum(0).int() if is_ragged else None,
        )

    def refresh(self) -> None:
        """Compute with `weights_GP` as they are now."""
        if self._compute_GP is not self.weights_GP:
            self._compute_GP.copy_(self.weights_GP)
        self._shared.last = (None, None)

    def add_penalty(self, weights: Sequence[float], *, scales: Sequence[float]) -> None:
        """Add to each slot's gradients those of weight * |scale BA|^2 / |W|^2, both over all layers."""
        if not any(weights):
            return
        whole = sum(layer.norm_squared for layer in self.layers.values())
        pairs = zip(weights, scales, strict=True)
        factors_G11 = self.weights_GP.new_tensor([2 * weight * scale**2 / whole for weight, scale in pairs])[
            :, None, None
        ]
        gradients = self.parts(self.gradients_GP)
        for name, (a_GRI, b_GOR) in self.parts(self.weights_GP).items():
            a_grad_GRI, b_grad_GOR = gradients[name]
            a_grad_GRI += factors_G11 * torch.bmm(torch.bmm(b_GOR.transpose(1, 2), b_GOR), a_GRI)
            b_grad_GOR += factors_G11 * torch.bmm(b_GOR, torch.bmm(a_GRI, a_GRI.transpose(1, 2)))

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
        whole = sum(layer.norm_squared for layer in self.layers.values())
        return scale * math.sqrt(max(0.0, added) / whole)


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
