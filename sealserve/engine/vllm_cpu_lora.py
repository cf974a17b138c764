"""LoRA on the CPU as one matrix product for each adapter in a batch.

vLLM 0.32's own CPU code copies an adapter's matrices once for every token before it multiplies, which makes a request
with an adapter about ten times as slow as one without. It also reads slot -1, the last one, for tokens without an
adapter whenever others in the batch have one: with every slot full, requests to the base model are answered with
another tenant's adapter. `install` is registered as a vLLM general plugin (pyproject.toml), so vLLM calls it in each
of its processes.
"""

from typing import Any, TypeAlias

import torch
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.platforms import current_platform

DTYPE = torch.float32
"""Adapters' own format on the CPU. A product of up to 16 rows with matrices of rank 16 takes a third to a half of the
time that it takes in bfloat16, even where the processor has bfloat16 instructions (hidden sizes 384 to 4096); one of
128 rows and more up to twice as long, but there the base model's own products take most of a step."""

Rows: TypeAlias = slice | torch.Tensor  # which rows of a batch one adapter has


def install() -> None:
    """Make vLLM multiply adapters with `GroupedLoraCPU` where it runs on the CPU."""
    if current_platform.is_cpu():
        path = f"{GroupedLoraCPU.__module__}.{GroupedLoraCPU.__qualname__}"
        type(current_platform).get_punica_wrapper = classmethod(lambda cls: path)


class GroupedLoraCPU(PunicaWrapperCPU):  # type: ignore[misc]
    """vLLM's interface to LoRA products; only linear layers of the stack, which are all that adapters may have."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._groups: list[tuple[int, Rows]] = []  # slot and rows of the tokens that have an adapter

    def update_metadata(self, *arguments: Any, **options: Any) -> None:
        """Note which rows of the next batches belong to which slot; once a step, not once a layer."""
        super().update_metadata(*arguments, **options)
        self._groups = _grouped(self.token_lora_indices)

    def add_lora_linear(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: tuple[torch.Tensor, ...],
        lora_b_stacked: tuple[torch.Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        **_: Any,
    ) -> None:
        """Add x Aᵀ Bᵀ · scale to y in place, each row with its own slot's A and B.

        Shapes: x (tokens, in), y (tokens, sum of output_slices), A (slots, 1, rank, in), B (slots, 1, out, rank).
        """
        start = 0
        for a, b, width in zip(lora_a_stacked, lora_b_stacked, output_slices, strict=True):
            part = y[:, start : start + width]
            for slot, rows in self._groups:
                down = torch.mm(x[rows].to(a.dtype), a[slot, 0].T).mul_(scale)
                part[rows] += torch.mm(down, b[slot, 0].T).to(y.dtype)
            start += width


def _grouped(slots: torch.Tensor) -> list[tuple[int, Rows]]:
    """Return each slot that occurs, with its rows; rows of slot -1 have no adapter and are left out."""
    groups: list[tuple[int, Rows]] = []
    for slot in torch.unique(slots).tolist():
        if slot >= 0:
            [rows] = torch.nonzero(slots == slot, as_tuple=True)
            first, last = int(rows[0]), int(rows[-1])
            groups.append((slot, slice(first, last + 1) if last - first + 1 == len(rows) else rows))
    return groups
