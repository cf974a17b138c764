"""What the kill figure does and counts, without doing it: the plan of kills, and what was lost or happened twice.

Pure: knows no process and no server.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sealserve.fault import FAULT_POINTS
from sealserve.records import STEPS, Activation, AdapterVersion

RANDOM_SECONDS = (1.0, 25.0)  # when a random kill falls, counted from the start of `learn`


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """When to kill: at the `nth` passing of a fault point, or `seconds` after the start when `point` is empty."""

    point: str = ""
    nth: int = 1
    seconds: float = 0.0


def learn_strikes(count: int, *, rng: random.Random) -> list[Strike]:
    """Return the plan: both edges of every step in order, both edges of storing an adapter, then random moments.

    Killing before the commit and then after it takes a cycle one step further with every two kills.
    """
    edges = [f"registry.record_step.{edge}_commit" for _ in STEPS for edge in ("before", "after")]
    writes = [point for point in FAULT_POINTS if point.startswith("artifacts.put_directory.")]
    plan = [Strike(point=point) for point in [*edges, *writes]]
    plan += [Strike(seconds=rng.uniform(*RANDOM_SECONDS)) for _ in range(count - len(plan))]
    return plan[: max(count, 0)]


Name = TypeVar("Name")


def count_lost(acknowledged: Mapping[Name, str], stored: Mapping[Name, str]) -> int:
    """Return how many acknowledged documents (name to text) are not stored word for word."""
    return sum(stored.get(document) != text for document, text in acknowledged.items())


def count_twice(
    versions: Iterable[AdapterVersion], moves: Iterable[Activation], *, asked: Iterable[tuple[str, int]]
) -> int:
    """Return how often something happened again: a cycle's version, or a promotion.

    A version is promoted once by its cycle, and once more for each time its (tenant, number) stands in `asked`.
    """
    per_cycle = Counter(version.cycle for version in versions)
    promoted = Counter((move.tenant, move.version) for move in moves if move.kind == "promote")
    allowed = Counter(asked)
    again = sum(number - 1 for number in per_cycle.values())
    return again + sum(max(0, number - 1 - allowed[version]) for version, number in promoted.items())
