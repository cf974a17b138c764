"""What the kill figure does and counts, without doing it: the plan of kills, and what was lost or happened twice.

Pure: knows no process and no server.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sealserve.fault_injection import FAULT_POINTS
from sealserve.records.cycles import STEPS
from sealserve.records.rollouts import WATCH_ACTOR, Watch, WatchState
from sealserve.records.versions import BASE_VERSION, Activation, AdapterVersion, VersionState
from sealserve.serving.activation.version_loader import ACTOR as SERVE_ACTOR

RANDOM_SECONDS = (1.0, 25.0)  # when a random kill falls, counted from the start of `learn`


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """When to kill: at the `nth` passing of a fault point, or `seconds` after the start when `point` is empty."""

    point: str = ""
    nth: int = 1
    seconds: float = 0.0


def learn_strikes(count: int, *, rng: random.Random) -> list[Strike]:
    """Return the plan: both edges of every step in order, both edges of storing an adapter, then two random moments and
    both edges of a step in turn.

    Killing before the commit and then after it takes a cycle one step further; with random kills alone all would soon
    fall into the longest step, which never ends.
    """
    edges = [Strike(point=f"registry.cycles.record_step.{edge}_commit") for edge in ("before", "after")]
    plan = [
        *edges * len(STEPS),
        *(Strike(point=one) for one in FAULT_POINTS if one.startswith("artifacts.put_directory.")),
    ]
    while len(plan) < count:
        plan += [Strike(seconds=rng.uniform(*RANDOM_SECONDS)) for _ in edges] + edges
    return plan[: max(count, 0)]


Name = TypeVar("Name")


def count_lost(acknowledged: Mapping[Name, str], stored: Mapping[Name, str]) -> int:
    """Return how many acknowledged documents (name to text) are not stored word for word."""
    return sum(stored.get(document) != text for document, text in acknowledged.items())


def count_twice(
    versions: Iterable[AdapterVersion], moves: Iterable[Activation], *, asked: Iterable[tuple[str, int]]
) -> int:
    """Return how often something happened again: a cycle's version, a promotion, or a move that a watch makes.

    A version is promoted once by its cycle, and once more for each time its (tenant, number) stands in `asked`. A watch
    enters each stage once and goes back once.
    """
    moves = list(moves)
    per_cycle = Counter(version.cycle for version in versions)
    promoted = Counter((move.tenant, move.version) for move in moves if move.kind == "promote")
    allowed = Counter(asked)
    watched = Counter((*at, move.kind, _stage(move)) for at, move in _moves_of_watches(moves))
    again = sum(number - 1 for number in (*per_cycle.values(), *watched.values()))
    return again + sum(max(0, number - 1 - allowed[version]) for version, number in promoted.items())


def count_half_done(watches: Iterable[Watch], moves: Iterable[Activation], *, desired: Mapping[str, int]) -> int:
    """Return how much is true in one place only: a watch that went back without the pointer, or the pointer without
    the watch, and a tenant whose `desired` version is not the one of its newest move."""
    moves = list(moves)
    ended = {(watch.tenant, watch.activation) for watch in watches if watch.state is WatchState.ROLLED_BACK}
    moved = {at for at, move in _moves_of_watches(moves) if move.kind == "rollback"}
    newest = {move.tenant: move.version for move in sorted(moves, key=lambda move: move.activation)}
    return len(ended ^ moved) + sum(newest.get(tenant, BASE_VERSION) != version for tenant, version in desired.items())


def count_condemned(
    versions: Iterable[AdapterVersion], moves: Iterable[Activation], *, forgotten: Iterable[tuple[str, str]]
) -> int:
    """Return how many versions `serve` took out of service for an engine's death: those that are quarantined but hold
    no forgotten (tenant, document), and those that it moved the pointer away from."""
    gone = set(forgotten)
    quarantined = {
        (version.tenant, version.version)
        for version in versions
        if version.state is VersionState.QUARANTINED
        and not gone & {(version.tenant, document) for document in version.documents}
    }
    left = {(move.tenant, move.previous) for move in moves if move.kind == "rollback" and move.actor == SERVE_ACTOR}
    return len(quarantined | left)


def _moves_of_watches(moves: Iterable[Activation]) -> Iterator[tuple[tuple[str, int], Activation]]:
    """Yield what watches did, each with the (tenant, activation) of its watch: the promotion before it."""
    promoted: dict[str, int] = {}
    for move in sorted(moves, key=lambda move: move.activation):
        if move.kind == "promote":
            promoted[move.tenant] = move.activation
        elif move.actor == WATCH_ACTOR:
            yield (move.tenant, promoted.get(move.tenant, 0)), move


def _stage(move: Activation) -> str:
    return "" if move.kind == "rollback" else move.reason
