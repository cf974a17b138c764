"""The training state of one slot and its optimizer step: clipping, AdamW and schedule apply to this slot alone.

Shape: P numbers of the slot's adapter.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from sealserve.learning.training_job import Attempt

WARM_UP_STEPS = 6
CLIP_NORM = 1.0
BETAS = (0.9, 0.95)
EPSILON = 1e-8
STOP_WINDOW = 10
"""Steps whose mean loss decides whether training may end early."""


@dataclass(slots=True, kw_only=True)
class Slot:
    """An attempt in training. Its tensors are as after `len(losses)` steps."""

    attempt: Attempt
    weights_P: Tensor
    first_P: Tensor  # AdamW's moments
    second_P: Tensor
    steps_taken: Tensor
    losses: list[float] = field(default_factory=list)
    drifts: list[float] = field(default_factory=list)  # mean divergence per kept token, of the steps that kept any
    seconds: float = 0.0

    @property
    def step(self) -> int:
        """The step that comes next, from 0."""
        return len(self.losses)

    @property
    def scale(self) -> float:
        """LoRA's alpha / rank."""
        return self.attempt.recipe.alpha / self.attempt.recipe.rank

    def is_done(self) -> bool:
        """Return whether every step is taken, or the recipe's early end is reached."""
        recent = self.losses[-STOP_WINDOW:]
        is_low = len(recent) == STOP_WINDOW and sum(recent) / STOP_WINDOW < self.attempt.recipe.stop_loss
        return is_low or self.step >= self.attempt.steps


def new_slot(attempt: Attempt, weights_P: Tensor) -> Slot:
    """Return the attempt before its first step."""
    return Slot(
        attempt=attempt,
        weights_P=weights_P,
        first_P=torch.zeros_like(weights_P),
        second_P=torch.zeros_like(weights_P),
        steps_taken=torch.zeros((), device=weights_P.device),
    )


def take_step(slot: Slot, gradient_P: Tensor, *, loss: float) -> None:
    """Clip the gradient to CLIP_NORM, take one AdamW step (arXiv 1711.05101, no weight decay), note the loss."""
    excess = max(1.0, (float(torch.linalg.vector_norm(gradient_P)) + 1e-6) / CLIP_NORM)  # as clip_grad_norm_ has it
    adamw(
        [slot.weights_P],
        [gradient_P],
        [slot.first_P],
        [slot.second_P],
        [],
        [slot.steps_taken],
        fused=True,
        grad_scale=torch.tensor(excess, device=gradient_P.device),
        amsgrad=False,
        beta1=BETAS[0],
        beta2=BETAS[1],
        lr=slot.attempt.recipe.learning_rate * schedule(slot.step, slot.attempt.steps),
        weight_decay=0.0,
        eps=EPSILON,
        maximize=False,
    )
    slot.losses.append(loss)


def schedule(step: int, steps: int) -> float:
    """Linear warm-up, then linear decay to zero (the decay of SEAL's inner loop; its scripts/TTT_server.sh)."""
    return min(1.0, (step + 1) / WARM_UP_STEPS) * max(0.02, 1 - step / steps)


def tenths(values: list[float]) -> tuple[float, ...]:
    """Return the means of ten consecutive parts."""
    size = max(1, math.ceil(len(values) / 10))
    return tuple(sum(part) / len(part) for i in range(0, len(values), size) if (part := values[i : i + size]))
