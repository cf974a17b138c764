"""What fits into memory: how many slots, and how many tokens a step holds at once. The pass lowers both if it must."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from sealserve.errors import TrainingFailed

SHARE = 0.6
"""Of free memory that training plans with: the rest is for logits, for what backward needs besides, and for serving."""

ADAPTER_BYTES = 20
"""Per number of an adapter in float32: weight, gradient, two moments, and a copy to compute with."""

NO_ROOM = (
    "the base model and one candidate do not fit into memory; lower learn.training.rank, or engine.gpu_memory_fraction "
    "where one GPU serves and trains, or train on another machine or device"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many slots train at once, and how many tokens of theirs go through the model at once."""

    slots: int
    tokens: int


def plan(device: torch.device, *, wanted: int, numbers: int, longest: int, token_bytes: int, children: int) -> Room:
    """Return the room for up to `wanted` slots, at least for one and its `longest` sequence.

    `numbers` are those of one adapter, `token_bytes` what a token keeps until backward; `children` share the memory.
    """
    free = int(SHARE * _free_bytes(device) / children)
    adapter = ADAPTER_BYTES * numbers
    slots = max(1, min(wanted, free // (adapter + longest * token_bytes)))
    return Room(slots=slots, tokens=max(longest, (free - slots * adapter) // token_bytes))


class SavedBytes:
    """Counts what a forward keeps for backward, each piece of memory once, weights left out."""

    def __init__(self, model: nn.Module) -> None:
        self.total = 0
        self._seen = {value.untyped_storage().data_ptr() for value in (*model.parameters(), *model.buffers())}

    def hooks(self) -> torch.autograd.graph.saved_tensors_hooks:
        """Return the context in which it counts."""
        return torch.autograd.graph.saved_tensors_hooks(self._count, lambda value: value)

    def _count(self, value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.total += storage.nbytes()
        return value


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out. On the CPU, torch raises a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


@contextmanager
def memory_errors_explained() -> Iterator[None]:
    """Raise TrainingFailed, with what can be done, where memory runs out inside the block."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingFailed(NO_ROOM) from error


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info()[0]
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
