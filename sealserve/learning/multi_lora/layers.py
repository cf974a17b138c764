"""Many LoRA adapters over one frozen model at once: each linear layer has one pair of matrices per slot.

The model's own code is unmodified: its linear layers are wrapped, and layers that read the same input compute their
products together. The tokens of a batch belong to slots, and a slot's tokens are multiplied by its own matrices only.
Weights and gradients of all layers of one slot are contiguous, so clipping and stepping take one operation each; the
operands of the products are contiguous for all slots.

Shapes: G slots, R rank, W ranks of the layers of one group, I inputs, O outputs (of one layer, or all of its group),
T tokens of all slots, P numbers of one slot's adapter; S: the tokens as products of each slot take them, the same
number of each slot (padded), or on CUDA just T.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import grouped_mm

from sealserve.errors import TrainingFailed
from sealserve.learning.multi_lora.base_model import checkpoint_name, text_stack

SAME_INPUT = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers of one parent that models give the same input."""


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


class _Group:
    """Frozen linear layers that read the same input, and each slot's A and B for each of them.

    Whatever input a layer is given, what it returns is right; the same input only saves products.
    """

    def __init__(self, bases: dict[str, nn.Linear], *, dtype: torch.dtype, anchor: Tensor) -> None:
        linears = list(bases.values())
        self.names = list(bases)
        self.inputs = linears[0].in_features
        self.outputs = [linear.out_features for linear in linears]
        self.norm_squared = sum(float(linear.weight.detach().float().square().sum()) for linear in linears)
        self.weight_OI = torch.cat([linear.weight.detach() for linear in linears]).to(dtype)
        biases = [linear.bias if linear.bias is not None else linear.weight.new_zeros(()) for linear in linears]
        has_bias = any(linear.bias is not None for linear in linears)
        spread = [bias.detach().expand(n) for bias, n in zip(biases, self.outputs, strict=True)]
        self.bias_O = torch.cat(spread).to(dtype) if has_bias else None
        self.layout = Layout()
        self.moment_II: Tensor | None = None  # takes in what the base alone reads of the tokens observed_T
        self.observed_T = torch.empty(0)
        self.a_GIW, self.a_grad_GIW = torch.empty(0), torch.empty(0)
        self.b_GRO: list[Tensor] = []
        self.b_grad_GRO: list[Tensor] = []
        self.has_gradients = False
        self._anchor = anchor  # makes autograd walk through layers whose inputs need no gradient
        self._input: Tensor | None = None
        self._waiting: dict[int, Tensor] = {}

    def arrange(self, layout: Layout, *, adds: bool) -> None:
        """Take the next batch as it is laid out, and forget the last one, or (adds) keep its gradients to add to."""
        self.layout = layout
        self.has_gradients = adds and self.has_gradients
        self._input, self._waiting = None, {}

    def output(self, place: int, x: Tensor) -> Tensor:
        """Return the outputs of the layer at `place`; the others' wait until they are asked for of the same input."""
        if self._input is not x or place not in self._waiting:
            self._input, self._waiting = x, dict(enumerate(self._products(x)))
        found = self._waiting.pop(place)
        if not self._waiting:
            self._input = None
        return found.view(*x.shape[:-1], self.outputs[place])

    def _products(self, x: Tensor) -> Sequence[Tensor]:
        x_TI = x.to(self.weight_OI.dtype).flatten(0, -2)
        if not self.layout.slots:
            if self.moment_II is not None:
                unit_TI = nn.functional.normalize(x_TI[self.observed_T].float(), dim=1)
                self.moment_II.addmm_(unit_TI.mT, unit_TI)
            return torch.split(nn.functional.linear(x_TI, self.weight_OI, self.bias_O), self.outputs, dim=1)
        if self.layout.tokens != len(x_TI):
            raise TrainingFailed("this model sends tokens through its layers in another number than it is given")
        found: Sequence[Tensor] = _WithSlots.apply(x_TI, self._anchor, self)  # type: ignore[no-untyped-call]
        return found


class SlotLinear(nn.Module):
    """A frozen linear layer plus, for the tokens of slot g, scale_g * (x A_g^T) B_g^T (arXiv 2106.09685)."""

    weight: Tensor

    def __init__(self, group: _Group, place: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.split(group.weight_OI, group.outputs)[place], persistent=False)
        self.group, self.place = group, place

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's outputs for `x`, whose leading dimensions are rows and tokens."""
        return self.group.output(self.place, x)


class _WithSlots(torch.autograd.Function):
    """A group's forward, and a backward that leaves gradients of A and B where the slots keep them."""

    @staticmethod
    def forward(ctx: Any, x_TI: Tensor, anchor: Tensor, group: _Group) -> tuple[Tensor, ...]:
        layout = group.layout
        x_SI = layout.spread(x_TI)
        low_SW = layout.each(x_SI, group.a_GIW).mul_(layout.scales_S1)
        found = torch.split(nn.functional.linear(x_TI, group.weight_OI, group.bias_O), group.outputs, dim=1)
        for y_TO, low_SR, b_GRO in zip(found, low_SW.chunk(len(found), dim=1), group.b_GRO, strict=True):
            layout.add_each(y_TO, low_SR, b_GRO)
        ctx.group = group
        ctx.save_for_backward(x_SI, low_SW)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        group: _Group = ctx.group
        layout, adds = group.layout, group.has_gradients
        x_SI, low_SW = ctx.saved_tensors
        dlows = []
        for place, low_SR in enumerate(low_SW.chunk(len(gradients), dim=1)):
            dy_SO = layout.spread(gradients[place]).contiguous()
            dlows.append(layout.each(dy_SO, group.b_GRO[place].transpose(1, 2)))
            layout.sum_into(group.b_grad_GRO[place], low_SR, dy_SO, adds=adds)
        dlow_SW = torch.cat(dlows, dim=1).mul_(layout.scales_S1)
        layout.sum_into(group.a_grad_GIW, x_SI, dlow_SW, adds=adds)
        group.has_gradients = True  # what a step leaves first is written; a layer that is met again adds
        if not ctx.needs_input_grad[0]:
            return None, None, None
        dx_TI = torch.cat(gradients, dim=1) @ group.weight_OI
        layout.add_each(dx_TI, dlow_SW, group.a_GIW.transpose(1, 2))
        return dx_TI, None, None


class SlotStack:
    """The slots over one model. Backward leaves their gradients, which `gradient` returns."""

    def __init__(self, base: nn.Module, *, rank: int, dtype: torch.dtype) -> None:
        """Wrap every linear layer of `base`'s text stack (Schulman et al., "LoRA Without Regret", 2025).

        The head stays as it is. Layers are named as in the base's files. Raises: TrainingFailed (there is no layer to
        wrap, or none that has a name of its own).
        """
        device = next(base.parameters()).device
        self.rank = rank
        self._dtype = dtype
        self._groups = _wrapped(base, dtype=dtype, anchor=torch.zeros((), device=device, requires_grad=True))
        self.size = sum(math.prod(shape) for group in self._groups for shape in self._shapes(group))
        self.weights_GP = torch.empty(0, self.size, device=device)
        self._gradients_GP = self.weights_GP
        self._gradient_P = torch.empty(self.size, device=device)
        self._scales_G11 = torch.empty(0, 1, 1)
        self._read: list[Tensor] = []
        self._written: list[Tensor] = []

    def fill(self, adapters: Sequence[Tensor]) -> None:
        """Put copies of the adapters into as many slots; `weights_GP` holds them from now on."""
        self.weights_GP = torch.stack(list(adapters))
        self._gradients_GP = torch.zeros_like(self.weights_GP, dtype=self._dtype)
        self._written = [block for _, blocks in self._blocks(self.weights_GP) for block in blocks]
        self._read = [torch.empty_like(block, dtype=self._dtype) for block in self._written]
        read = iter(self._read)
        for group, (a_grad_GIW, *b_grad_GRO) in self._blocks(self._gradients_GP):
            group.a_GIW, group.b_GRO = next(read), [next(read) for _ in b_grad_GRO]
            group.a_grad_GIW, group.b_grad_GRO = a_grad_GIW, b_grad_GRO
        self.refresh()

    def refresh(self) -> None:
        """Compute with `weights_GP` as they are now."""
        torch._foreach_copy_(self._read, self._written)

    @property
    def inputs(self) -> list[int]:
        """How many inputs there are to each group of layers that read the same."""
        return [group.inputs for group in self._groups]

    @contextmanager
    def observed(self, moments_II: Mapping[int, Tensor], observed_T: Tensor) -> Iterator[None]:
        """Add to the moments, by group, the outer products of the inputs that the base alone is given meanwhile.

        Inputs count with length 1, and only those of tokens for which `observed_T` is true.
        """
        for place, moment_II in moments_II.items():
            self._groups[place].moment_II, self._groups[place].observed_T = moment_II, observed_T
        yield
        for place in moments_II:
            self._groups[place].moment_II = None

    def take_out(self, adapter_P: Tensor, directions: Sequence[Tensor], *, is_new: bool = False) -> None:
        """Make A orthogonal to each group's directions, I x K, orthonormal. A new one keeps its length."""
        for (group, blocks), u_IK in zip(self._blocks(adapter_P), directions, strict=True):
            a_IW = blocks[0]
            a_IW -= u_IK @ (u_IK.mT @ a_IW)
            if is_new:
                a_IW *= math.sqrt(group.inputs / (group.inputs - u_IK.shape[1]))

    def parts(self, values_GP: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Return views (A, B), R x I and O x R, of each layer, with `values_GP`'s leading dimensions.

        Both lie transposed, as tokens are multiplied by them.
        """
        found = {}
        for group, (a_IW, *all_b) in self._blocks(values_GP):
            for name, a_IR, b_RO in zip(group.names, torch.split(a_IW, self.rank, dim=-1), all_b, strict=True):
                found[name] = a_IR.mT, b_RO.mT
        return found

    def arrange(self, scales: Sequence[float], counts: Sequence[int], *, tokens: int, adds: bool = False) -> None:
        """Say whose the next batch's tokens are: so many of each slot, in order, then of none. No slots: the base's.

        Its gradients replace those of the batch before, or are added to them.
        """
        layout = Layout.of(scales, counts, tokens=tokens, like=self._gradients_GP)
        self._scales_G11 = torch.tensor(scales, device=self.weights_GP.device)[:, None, None]
        for group in self._groups:
            group.arrange(layout, adds=adds)

    def settle(self, penalties: Sequence[float]) -> None:
        """Complete the gradients of the last backward: none where no token went, and those of the slots' penalties.

        A slot's penalty is its weight_change_penalty * |scale BA|^2 / |W|^2, over all layers.
        """
        for group in self._groups:
            if not group.has_gradients:
                torch._foreach_zero_([group.a_grad_GIW, *group.b_grad_GRO])
        if not any(penalties):
            return
        by_change_G11 = torch.tensor(penalties, device=self.weights_GP.device)[:, None, None]
        factors_G11 = 2 * by_change_G11 * self._scales_G11**2 / self._norm_squared()
        gradients = self.parts(self._gradients_GP)
        for name, (a_GRI, b_GOR) in self.parts(self.weights_GP).items():
            gradients[name][0].add_(factors_G11 * (b_GOR.mT @ b_GOR @ a_GRI))
            gradients[name][1].add_(factors_G11 * (b_GOR @ (a_GRI @ a_GRI.mT)))

    def gradient(self, place: int) -> Tensor:
        """Return the slot's gradient_P of the last backward, float32. It holds until the next call."""
        return self._gradient_P.copy_(self._gradients_GP[place])

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
        return sum(group.norm_squared for group in self._groups)

    def _shapes(self, group: _Group) -> list[tuple[int, int]]:
        return [(group.inputs, self.rank * len(group.outputs)), *((self.rank, outputs) for outputs in group.outputs)]

    def _blocks(self, values_GP: Tensor) -> Iterator[tuple[_Group, list[Tensor]]]:
        """Yield each group with views of what it has: A of all its layers (I x W), then B of each (R x O)."""
        at = 0
        for group in self._groups:
            blocks = []
            for shape in self._shapes(group):
                blocks.append(values_GP[..., at : at + math.prod(shape)].view(*values_GP.shape[:-1], *shape))
                at += math.prod(shape)
            yield group, blocks


def _wrapped(base: nn.Module, *, dtype: torch.dtype, anchor: Tensor) -> list[_Group]:
    names = _names(base)
    alike: dict[tuple[str, tuple[str, ...], int], list[str]] = {}
    for name in names:
        parent, _, child = name.rpartition(".")
        siblings = next((kinds for kinds in SAME_INPUT if child in kinds), (child,))
        alike.setdefault((parent, siblings, _linear(base, name).in_features), []).append(name)
    stored = {name: checkpoint_name(base, name) for name in names}
    if len(set(stored.values())) < len(names):
        raise TrainingFailed(f"{_kind(base)} cannot be trained: its files hold in one what is loaded as several layers")
    groups = []
    for (parent, _, _), of_group in alike.items():  # a group's own copy of weights takes the place of the layers'
        linears = {stored[name]: _linear(base, name) for name in of_group}
        groups.append(_Group(linears, dtype=dtype, anchor=anchor))
        for place, name in enumerate(of_group):
            setattr(base.get_submodule(parent), name.rpartition(".")[2], SlotLinear(groups[-1], place))
    return groups


def _names(base: nn.Module) -> list[str]:
    """Return the linear layers of the text stack. Layers of vision and audio towers stay as they are."""
    stack = text_stack(base)
    of_stack = set(stack.modules())
    names = [n for n, m in base.named_modules() if isinstance(m, nn.Linear) and m in of_stack and ".layers." in n]
    if not names:
        raise TrainingFailed(
            f"{_kind(base)} cannot be trained: its layers have no linear modules that LoRA could change"
        )
    return names


def experts_left_out(base: nn.Module) -> str:
    """Return a remark on the experts of a mixture, whose weights no adapter changes; empty for a model without any."""
    stack = text_stack(base)
    owners = {name.rpartition(".")[0] for name, p in stack.named_parameters() if "layers." in name and p.dim() == 3}
    if all(isinstance(stack.get_submodule(name), nn.Conv1d) for name in owners):
        return ""
    return f"{_kind(base)} is a mixture of experts: training changes its attention and shared layers, not its experts"


def _kind(base: nn.Module) -> str:
    return type(base).__name__


def _linear(base: nn.Module, name: str) -> nn.Linear:
    found = base.get_submodule(name)
    assert isinstance(found, nn.Linear)
    return found
