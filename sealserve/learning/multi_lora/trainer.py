"""Trains all attempts of a job over one frozen base at once: each in a slot of its own, stepping together.

A step that does not fit into memory is taken in parts, whose gradients add up. A slot's result does not depend on what
runs beside it. A slot that is done, or whose loss is not finite, leaves; waiting attempts take its place.
"""

import math
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sealserve.errors import TrainingFailed
from sealserve.learning.multi_lora.batches import Encoded, batches, parts, tokens_of
from sealserve.learning.multi_lora.files import (
    read_adapter,
    read_checkpoint,
    write_adapter,
    write_checkpoint,
    write_result,
)
from sealserve.learning.multi_lora.layers import SlotStack, experts_left_out
from sealserve.learning.multi_lora.losses import (
    Losses,
    Teacher,
    batch_weight,
    device_of,
    is_packed,
    losses,
    teacher_key,
    use_packing,
)
from sealserve.learning.multi_lora.memory import NO_ROOM, Room, is_out_of_memory
from sealserve.learning.multi_lora.null_space import protected_directions
from sealserve.learning.multi_lora.optimizer import Slot, new_slot, take_step, tenths
from sealserve.learning.multi_lora.packing import Piece, pack
from sealserve.learning.training_job import Attempt, Result, TrainingJob

CHECKPOINT_SECONDS = 60.0

Say = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassContext:
    """What a pass works with. `capacity` is how many slots train at once, `tokens` how many of theirs."""

    model: nn.Module
    encoded: list[Encoded]
    dtype: torch.dtype
    capacity: int
    tokens: int = sys.maxsize
    checkpoint_seconds: float = CHECKPOINT_SECONDS


class MultiLoraTrainer:
    """One pass over the attempts of a job; `run` leaves every one of them in `directory`, trained or failed."""

    def __init__(
        self,
        job: TrainingJob,
        attempts: list[Attempt],
        *,
        bench: PassContext,
        directory: Path,
        say: Say,
        stack: SlotStack | None = None,
    ) -> None:
        """Wrap the model's layers; or take `stack`, which has wrapped them.

        Raises: TrainingFailed (this model cannot be trained, or an attempt names too few sequences).
        """
        self._job = job
        self._digest = job.digest()
        self._bench = bench
        self._directory = directory
        self._say = say
        self._capacity, self._tokens = bench.capacity, bench.tokens
        self._device = device_of(bench.model)
        self._batches = {attempt.index: batches(attempt, bench.encoded) for attempt in attempts}
        self.stack = stack or _wrap(bench, attempts)
        self._together = is_packed(bench.model)
        self.remarks = tuple(filter(None, [experts_left_out(bench.model)]))
        self._teacher = Teacher(bench.model, self.stack, bench.encoded)
        self._attempts = attempts
        self._waiting: deque[Attempt | Slot] = deque(attempts)
        self._slots: list[Slot] = []
        self._protected: dict[float, list[Tensor]] = {}  # directions by share

    def run(self) -> None:
        """Train all; early ones leave at once. Raises: TrainingFailed (not even one slot fits into memory)."""
        saved = time.monotonic()
        self._settle([])
        while self._slots:
            stay = self._step_if_it_fits()
            if stay is None:  # not in an except block: an error holds what its frames hold
                self._shrink()
                continue
            if time.monotonic() - saved > self._bench.checkpoint_seconds:
                for slot in stay:
                    write_checkpoint(slot, job=self._digest, directory=self._directory)
                saved = time.monotonic()
            if len(stay) < len(self._slots):
                self._settle(stay)

    def limit(self, room: Room) -> None:
        """Train no more at once than `room` says."""
        self._capacity, self._tokens = room.slots, room.tokens

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
            self.stack.fill([slot.weights_P for slot in self._slots])
        for slot, weights_P in zip(self._slots, self.stack.weights_GP, strict=False):
            slot.weights_P = weights_P

    def _opened(self, attempt: Attempt | Slot) -> Slot:
        if isinstance(attempt, Slot):
            return attempt
        kept = read_checkpoint(attempt, job=self._digest, directory=self._directory, device=self._device)
        if kept is not None:
            return kept
        weights_P = self.stack.fresh_adapter(rank=attempt.recipe.rank, seed=attempt.recipe.seed)
        if attempt.start is not None:
            read_adapter(attempt.start, self.stack.parts(weights_P), rank=attempt.recipe.rank)
        if directions := self._directions_of(attempt):
            self.stack.take_out(weights_P, directions, is_new=True)
        return new_slot(attempt, weights_P)

    def protect(self) -> None:
        """Measure what the attempts may not read; before `run` if a recipe has a protected share."""
        with self._autocast():
            self._protected = {
                share: protected_directions(self.stack, self._teacher, self._bench.encoded, share=share)
                for share in {attempt.recipe.protected_share for attempt in self._attempts} - {0.0}
            }

    def _directions_of(self, attempt: Attempt) -> list[Tensor] | None:
        """Return what the attempt may not read. One that goes on from an adapter reads what that one reads."""
        share = attempt.recipe.protected_share
        return None if attempt.start or not share else self._protected[share]

    def _step_if_it_fits(self) -> list[Slot] | None:
        try:
            return self._step()
        except RuntimeError as error:
            if is_out_of_memory(error):
                return None
            raise

    def _step(self) -> list[Slot]:
        """Take one step of every slot and return those that go on.

        If a loss is not finite, that slot leaves and the others take no step: on processors with AMX, oneDNN's bfloat16
        products of an odd number of terms (gradients of an odd vocabulary's logits) read on into the next row, which
        may be the lost slot's.
        """
        started = time.monotonic()
        found = self._backward()
        loss_of, drift_of = found.loss_G.tolist(), (found.drift_G / found.kept_G).tolist()
        if lost := [place for place, loss in enumerate(loss_of) if not math.isfinite(loss)]:
            for place in lost:
                self._fail(self._slots[place], f"the loss is not finite at step {self._slots[place].step}")
            return [slot for place, slot in enumerate(self._slots) if place not in lost]
        for place, slot in enumerate(self._slots):
            take_step(slot, self.stack.gradient(place), loss=loss_of[place])
            if directions := self._directions_of(slot.attempt):
                self.stack.take_out(slot.weights_P, directions)
            if math.isfinite(drift_of[place]):
                slot.drifts.append(drift_of[place])
        self.stack.refresh()
        seconds = (time.monotonic() - started) / len(self._slots)
        for slot in self._slots:
            slot.seconds += seconds
            if (slot.step - 1) % 10 == 0:
                self._report(slot, step=slot.step - 1)
            if slot.is_done():
                self._finish(slot)
        return [slot for slot in self._slots if not slot.is_done()]

    def _chosen(self) -> list[list[int]]:
        """Return the next batch of every slot."""
        return [self._batches[slot.attempt.index][slot.step] for slot in self._slots]

    def _parts(self) -> list[list[list[int]]]:
        return parts(self._chosen(), self._bench.encoded, tokens=self._tokens, together=self._together)

    def _backward(self) -> Losses:
        """Leave the gradients of the next batches, part by part, and return the losses."""
        encoded, chosen = self._bench.encoded, self._chosen()
        totals_G = torch.tensor([batch_weight(encoded[key] for key in batch) for batch in chosen], device=self._device)
        taught = [key for key in self._taught(chosen) if key is not None]
        with self._autocast():
            self._teacher.read(taught)
        first, *rest = self._parts()
        found = self._backward_part(first, totals_G, adds=False)
        for part in rest:
            found += self._backward_part(part, totals_G, adds=True)
        self.stack.settle([slot.attempt.recipe.weight_change_penalty for slot in self._slots])
        return found

    def _backward_part(self, part: list[list[int]], totals_G: Tensor, *, adds: bool) -> Losses:
        encoded = self._bench.encoded
        pieces = [
            [Piece(key=key, ids=encoded[key].ids, answer_start=encoded[key].answer_start) for key in of_slot]
            for of_slot in part
        ]
        rows = pack(pieces, device=self._device, together=self._together)
        recipes = [slot.attempt.recipe for slot in self._slots]
        scales, tokens = [slot.scale for slot in self._slots], rows.ids_BL.numel()
        with self._autocast():
            self.stack.arrange(scales, rows.counts, tokens=tokens, adds=adds)
            found = losses(
                self._bench.model,
                rows,
                recipes,
                teacher=self._teacher,
                taught=self._taught(part),
                totals_G=totals_G,
            )
        found.loss_G.sum().backward()  # type: ignore[no-untyped-call]
        return found

    def _taught(self, part: list[list[int]]) -> list[tuple[int, bool] | None]:
        """Return what teaches each sequence of the part, slot after slot."""
        return [
            teacher_key(key, self._bench.encoded[key], slot.attempt.recipe)
            for slot, of_slot in zip(self._slots, part, strict=True)
            for key in of_slot
        ]

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._bench.dtype == torch.bfloat16)

    def _shrink(self) -> None:
        """Hold fewer tokens at once, or keep fewer activations, or else halve the slots."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        largest = max(self._parts(), key=self._tokens_of)
        if max(map(len, largest)) > 1:
            self._tokens = self._tokens_of(largest) // 2
            self._say(tokens=self._tokens, why="out of memory")
        elif _recompute(self._bench.model):
            self._say(why="out of memory: activations are computed twice")
        else:
            self._halve()

    def _halve(self) -> None:
        """Go on with half of the slots; the rest wait as they are."""
        if len(self._slots) == 1:
            raise TrainingFailed(NO_ROOM)
        self._capacity = -(-len(self._slots) // 2)
        for slot in reversed(self._slots[self._capacity :]):
            slot.weights_P = slot.weights_P.clone()  # a view would keep the whole stack
            self._waiting.appendleft(slot)
        self._settle(self._slots[: self._capacity])
        self._say(slots=self._capacity, why="out of memory")

    def _tokens_of(self, part: list[list[int]]) -> int:
        return tokens_of(part, self._bench.encoded, together=self._together)

    def _finish(self, slot: Slot) -> None:
        pairs = self.stack.parts(slot.weights_P)
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
            weight_change=self.stack.weight_change(slot.weights_P, scale=slot.scale),
            tokens=sum(len(encoded[place].ids) for batch in seen for place in batch),
            answer_tokens=sum(len(encoded[place].ids) - encoded[place].answer_start for b in seen for place in b),
            remarks=self.remarks,
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


def _wrap(bench: PassContext, attempts: list[Attempt]) -> SlotStack:
    """Prepare the model for packed documents, and wrap its layers with room for the attempts' largest rank."""
    use_packing(bench.model)
    _cast_head(bench.model, bench.dtype)
    multiple = 8 if device_of(bench.model).type == "cuda" else 1  # grouped_mm wants rows of 16 bytes
    rank = -(-max(attempt.recipe.rank for attempt in attempts) // multiple) * multiple
    return SlotStack(bench.model, rank=rank, dtype=bench.dtype)


def _recompute(model: nn.Module) -> bool:
    """Let the layers keep their inputs alone and compute the rest again in backward (arXiv 1604.06174).

    Return False if they do already, or cannot.
    """
    inner: Any = model
    if inner.is_gradient_checkpointing or not inner.supports_gradient_checkpointing:
        return False
    inner.gradient_checkpointing_enable({"use_reentrant": False})
    for module in inner.modules():
        if getattr(module, "gradient_checkpointing", False):
            module.training = True  # transformers recomputes in this mode alone; dropout within stays off
    return True


def _cast_head(model: nn.Module, dtype: torch.dtype) -> None:
    """Give the model a head of the dtype of computation, which autocast would convert anew for each product."""
    inner: Any = model
    head = inner.get_output_embeddings()
    if type(head) is nn.Linear and head.weight.dtype != dtype:
        cast = nn.Linear(head.in_features, head.out_features, bias=head.bias is not None, device="meta", dtype=dtype)
        cast.load_state_dict({name: value.to(dtype) for name, value in head.state_dict().items()}, assign=True)
        inner.set_output_embeddings(cast.requires_grad_(False))
