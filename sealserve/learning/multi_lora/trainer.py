"""Trains all attempts of a job over one frozen base at once: each in a slot of its own, stepping together.

A slot's result does not depend on what runs beside it. A slot that is done, or whose loss is not finite, leaves;
waiting attempts take its place.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sealserve.errors import TrainingFailed
from sealserve.learning.multi_lora.batches import Encoded, batches
from sealserve.learning.multi_lora.files import (
    read_adapter,
    read_checkpoint,
    write_adapter,
    write_checkpoint,
    write_result,
)
from sealserve.learning.multi_lora.layers import SlotStack
from sealserve.learning.multi_lora.losses import Losses, Teacher, device_of, losses, teacher_key, use_packing
from sealserve.learning.multi_lora.optimizer import Slot, new_slot, take_step, tenths
from sealserve.learning.multi_lora.packing import Piece, Rows, pack
from sealserve.learning.training_job import Attempt, Result, TrainingJob

CHECKPOINT_SECONDS = 60.0

Say = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassContext:
    """What a pass works with. `capacity` is how many slots train at once."""

    model: nn.Module
    encoded: list[Encoded]
    dtype: torch.dtype
    capacity: int
    checkpoint_seconds: float = CHECKPOINT_SECONDS


class MultiLoraTrainer:
    """One pass over the attempts of a job; `run` leaves every one of them in `directory`, trained or failed."""

    def __init__(
        self, job: TrainingJob, attempts: list[Attempt], *, bench: PassContext, directory: Path, say: Say
    ) -> None:
        self._job = job
        self._digest = job.digest()
        self._bench = bench
        self._directory = directory
        self._say = say
        self._capacity = bench.capacity
        self._device = device_of(bench.model)
        self._together = use_packing(bench.model)
        _cast_head(bench.model, bench.dtype)
        multiple = 8 if self._device.type == "cuda" else 1  # grouped_mm wants rows of 16 bytes
        rank = -(-max(attempt.recipe.rank for attempt in attempts) // multiple) * multiple
        self._stack = SlotStack(bench.model, rank=rank, dtype=bench.dtype)
        self._teacher = Teacher(bench.model, self._stack, bench.encoded)
        self._batches = {attempt.index: batches(attempt, bench.encoded) for attempt in attempts}
        self._waiting: deque[Attempt | Slot] = deque(attempts)
        self._slots: list[Slot] = []

    def run(self) -> None:
        """Train all; early ones leave at once. Raises: TrainingFailed (not even one slot fits into memory)."""
        saved = time.monotonic()
        self._settle([])
        while self._slots:
            try:
                stay = self._step()
            except torch.OutOfMemoryError:
                self._shrink()
                continue
            if time.monotonic() - saved > self._bench.checkpoint_seconds:
                for slot in stay:
                    write_checkpoint(slot, job=self._digest, directory=self._directory)
                saved = time.monotonic()
            if len(stay) < len(self._slots):
                self._settle(stay)

    def _settle(self, stay: list[Slot]) -> None:
        """Fill the stack with those that stay and as many of the waiting as there is room for."""
        self._slots = stay
        while self._waiting and len(self._slots) < self._capacity:
            slot = self._opened(self._waiting.popleft())
            if slot.is_done():
                self._finish(slot)
            else:
                self._slots.append(slot)
        if self._slots:
            self._stack.fill([slot.weights_P for slot in self._slots])
        for slot, weights_P in zip(self._slots, self._stack.weights_GP, strict=False):
            slot.weights_P = weights_P

    def _opened(self, attempt: Attempt | Slot) -> Slot:
        if isinstance(attempt, Slot):
            return attempt
        kept = read_checkpoint(attempt, job=self._digest, directory=self._directory, device=self._device)
        if kept is not None:
            return kept
        weights_P = self._stack.fresh_adapter(rank=attempt.recipe.rank, seed=attempt.recipe.seed)
        if attempt.start is not None:
            read_adapter(attempt.start, self._stack.parts(weights_P), rank=attempt.recipe.rank)
        return new_slot(attempt, weights_P)

    def _step(self) -> list[Slot]:
        """Take one step of every slot and return those that go on."""
        started = time.monotonic()
        rows, taught = self._rows()
        found = self._backward(rows, taught)
        loss_of, drift_of = found.loss_G.tolist(), found.drift_G.tolist()
        stay = []
        for place, slot in enumerate(self._slots):
            if not math.isfinite(loss_of[place]):
                self._fail(slot, f"the loss is not finite at step {slot.step}")
                continue
            take_step(slot, self._stack.gradient(place), loss=loss_of[place])
            if math.isfinite(drift_of[place]):
                slot.drifts.append(drift_of[place])
            stay.append(slot)
        self._stack.refresh()
        seconds = (time.monotonic() - started) / len(self._slots)
        for slot in stay:
            slot.seconds += seconds
            if (slot.step - 1) % 10 == 0:
                self._report(slot, step=slot.step - 1)
            if slot.is_done():
                self._finish(slot)
        return [slot for slot in stay if not slot.is_done()]

    def _rows(self) -> tuple[Rows, list[tuple[int, bool] | None]]:
        """Return the next batch of every slot in rows, and what teaches each of their sequences."""
        encoded = self._bench.encoded
        chosen = [self._batches[slot.attempt.index][slot.step] for slot in self._slots]
        pieces = [
            [Piece(key=place, ids=encoded[place].ids, answer_start=encoded[place].answer_start) for place in batch]
            for batch in chosen
        ]
        rows = pack(pieces, device=self._device, together=self._together)
        recipes = [slot.attempt.recipe for slot, batch in zip(self._slots, chosen, strict=True) for _ in batch]
        taught = [teacher_key(key, encoded[key], recipe) for key, recipe in zip(rows.keys, recipes, strict=True)]
        return rows, taught

    def _backward(self, rows: Rows, taught: list[tuple[int, bool] | None]) -> Losses:
        recipes = [slot.attempt.recipe for slot in self._slots]
        with self._autocast():
            self._teacher.read(key for key in taught if key is not None)
            self._stack.arrange([slot.scale for slot in self._slots], rows.counts, tokens=rows.ids_BL.numel())
            found = losses(self._bench.model, rows, recipes, teacher=self._teacher, taught=taught)
        found.loss_G.sum().backward()  # type: ignore[no-untyped-call]
        self._stack.settle([recipe.weight_change_penalty for recipe in recipes])
        return found

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._bench.dtype == torch.bfloat16)

    def _shrink(self) -> None:
        """Keep fewer activations (arXiv 1604.06174), or else halve the slots; the rest wait as they are."""
        model: Any = self._bench.model
        if not model.is_gradient_checkpointing:
            model.train()  # transformers recomputes in this mode alone
            model.gradient_checkpointing_enable({"use_reentrant": False})
            self._say(why="out of memory: activations are computed twice")
            return
        if len(self._slots) == 1:
            raise TrainingFailed(
                "not one candidate fits into memory; lower learn.training.batch_size or learn.training.rank"
            )
        self._capacity = -(-len(self._slots) // 2)
        for slot in reversed(self._slots[self._capacity :]):
            slot.weights_P = slot.weights_P.clone()  # a view would keep the whole stack
            self._waiting.appendleft(slot)
        self._settle(self._slots[: self._capacity])
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        self._say(slots=self._capacity, why="out of memory")

    def _finish(self, slot: Slot) -> None:
        pairs = self._stack.parts(slot.weights_P)
        write_adapter(pairs, attempt=slot.attempt, base=self._job.base_digest, directory=self._directory)
        last = slot.drifts[-max(1, len(slot.drifts) // 10) :]
        encoded, seen = self._bench.encoded, self._batches[slot.attempt.index][: slot.step]
        result = Result(
            index=slot.attempt.index,
            job=self._digest,
            losses=tenths(slot.losses),
            seconds=slot.seconds,
            steps=slot.step,
            drift=sum(last) / len(last) if last else None,
            weight_change=self._stack.weight_change(slot.weights_P, scale=slot.scale),
            tokens=sum(len(encoded[place].ids) for batch in seen for place in batch),
        )
        write_result(result, directory=self._directory)
        self._report(slot, step=slot.step)

    def _fail(self, slot: Slot, why: str) -> None:
        result = Result(
            index=slot.attempt.index,
            job=self._digest,
            losses=tenths(slot.losses),
            seconds=slot.seconds,
            steps=slot.step,
            failure=f"candidate {slot.attempt.index}: {why}",
        )
        write_result(result, directory=self._directory)
        self._say(candidate=slot.attempt.index, failed=result.failure)

    def _report(self, slot: Slot, *, step: int) -> None:
        self._say(candidate=slot.attempt.index, step=step, of=slot.attempt.steps, loss=round(slot.losses[-1], 4))


def _cast_head(model: nn.Module, dtype: torch.dtype) -> None:
    """Give the model a head of the dtype of computation, which autocast would convert anew for each product."""
    inner: Any = model
    head = inner.get_output_embeddings()
    if type(head) is nn.Linear and head.weight.dtype != dtype:
        cast = nn.Linear(head.in_features, head.out_features, bias=head.bias is not None, device="meta", dtype=dtype)
        cast.load_state_dict({name: value.to(dtype) for name, value in head.state_dict().items()}, assign=True)
        inner.set_output_embeddings(cast.requires_grad_(False))
