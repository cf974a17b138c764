"""The cost of learning per confirmed point, in device-seconds, tokens and candidates, and whether it still pays. Pure.

A point is one hundredth of accuracy on questions that neither training nor ranking saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What was spent: time on the training device, tokens trained on, adapters trained."""

    device_seconds: float = 0.0
    tokens: int = 0
    candidates: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            device_seconds=self.device_seconds + other.device_seconds,
            tokens=self.tokens + other.tokens,
            candidates=self.candidates + other.candidates,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """One cycle or round: its cost, and the gain that was confirmed; None when it could not be measured."""

    cost: Cost
    gain: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The most that may be spent; None is no cap."""

    device_seconds: float | None = None
    tokens: int | None = None
    candidates: int | None = None


def total(spent: Sequence[Spent]) -> Cost:
    """Return the cost of all."""
    return sum((one.cost for one in spent), Cost())


def seconds_per_point(spent: Sequence[Spent]) -> float | None:
    """Return device-seconds per confirmed point over all of `spent`; None when nothing was gained.

    What was spent without a gain counts too: failures are part of the price.
    """
    points = 100 * sum(one.gain for one in spent if one.gain is not None and one.gain > 0)
    return total(spent).device_seconds / points if points > 0 else None


def over(cost: Cost, caps: Caps) -> str:
    """Return which cap `cost` is over, in words for an operator; "" when none."""
    bounds = (
        ("device-seconds", cost.device_seconds, caps.device_seconds),
        ("tokens", cost.tokens, caps.tokens),
        ("candidates", cost.candidates, caps.candidates),
    )
    found = [f"{used:g} of {cap:g} {name}" for name, used, cap in bounds if cap is not None and used > cap]
    return f"over the cap: {', '.join(found)}" if found else ""


def has_dipped(spent: Sequence[Spent], *, window: int, share: float) -> bool:
    """Return whether the last `window` rounds gained less per device-second than `share` of the best window before.

    With fewer than two windows of measured rounds there is nothing to compare, and it has not; nor with a share of 0.
    """
    measured = [one for one in spent if one.gain is not None and one.cost.device_seconds > 0]
    if not share or window < 1 or len(measured) < 2 * window:
        return False
    windows = [measured[start : start + window] for start in range(len(measured) - window + 1)]
    rates = [_rate(one) for one in windows]
    return rates[-1] < share * max(rates[: len(rates) - window])


def _rate(spent: Sequence[Spent]) -> float:
    return sum(one.gain or 0.0 for one in spent) / total(spent).device_seconds
