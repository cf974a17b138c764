"""Adapters on the CPU: every row of a batch gets its own slot's product, and a row without an adapter none."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sealserve.engine.memory_plan import CPU_ADAPTER_NUMBER

pytestmark = pytest.mark.vllm
SLOTS, RANK, WIDTH = 3, 4, 8
OUT = (6, 2)  # two slices of one output, as query and key are


def wrapper(slots: Sequence[int]) -> Any:
    """Return one that was told which slot each row has; -1: none."""
    from sealserve.engine.vllm_cpu_lora import GroupedLoraCPU  # late: vLLM takes seconds, and one worker alone needs it

    made = GroupedLoraCPU(64, 64, torch.device("cpu"))
    numbers = [slot + 1 for slot in slots]  # vLLM's ids begin with 1; 0: no adapter
    mapping = SimpleNamespace(index_mapping=tuple(numbers), prompt_mapping=tuple(numbers), is_prefill=True)
    made.update_metadata(mapping, [slot + 1 for slot in range(SLOTS)], SLOTS, 32)
    return made


@pytest.mark.parametrize(
    "slots", [[0] * 5, [-1] * 5, [0, 0, 2, 2, 2], [2, -1, 0, -1, 2, 1, 0], [-1, -1, 2], [1]], ids=str
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("adapter", [torch.float32, torch.bfloat16], ids=str)
def test_each_row_has_its_own_adapter(slots: list[int], dtype: torch.dtype, adapter: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(len(slots))
    x, y = (torch.randn(len(slots), width, generator=draw).to(dtype) for width in (WIDTH, sum(OUT)))
    a = tuple(torch.randn(SLOTS, 1, RANK, WIDTH, generator=draw).to(adapter) for _ in OUT)
    b = tuple(torch.randn(SLOTS, 1, out, RANK, generator=draw).to(adapter) for out in OUT)
    wanted = y.double()
    for row, slot in enumerate(slots):
        if slot >= 0:
            up = [x[row].double() @ p[slot, 0].double().T @ q[slot, 0].double().T for p, q in zip(a, b, strict=True)]
            wanted[row] += 2 * torch.cat(up)
    made = wrapper(slots)
    linear = y.clone()
    made.add_lora_linear(linear, x, a, b, 2.0, OUT)
    tolerance = 1e-5 if dtype is adapter is torch.float32 else 0.1
    torch.testing.assert_close(linear.double(), wanted, atol=tolerance, rtol=tolerance)
    untouched = [row for row, slot in enumerate(slots) if slot < 0]
    assert torch.equal(linear[untouched], y[untouched])


def test_memory_is_planned_for_the_format_that_adapters_have() -> None:
    from sealserve.engine.vllm_cpu_lora import DTYPE

    assert DTYPE.itemsize == CPU_ADAPTER_NUMBER
