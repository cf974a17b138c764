"""The score matrix: many adapters by many suites of questions, asked concurrently, with cached scores reused.

As many adapters are loaded at a time as the engine can batch. All their calls are in flight at once, up to the engine
client's limit. A measurement that is impossible carries the reason.
"""

import asyncio
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TypeAlias

from sealserve.engine.engine import AdapterFiles
from sealserve.errors import (
    BadAdapter,
    CouldNotMeasure,
    DeadlineExceeded,
    EngineFailed,
    InvalidArgument,
    NotFound,
)
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.evaluation.rewards.base import Reward, ScoredItem
from sealserve.registry.registry import CachedScores

UNMEASURABLE = (BadAdapter, EngineFailed, DeadlineExceeded, InvalidArgument, NotFound, CouldNotMeasure)
"""Errors that make one measurement impossible. If the engine is unreachable, calls block until it is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Why there are no scores."""

    why: str


Scores: TypeAlias = tuple[float, ...]

MAX_BASE_SCORES = 64
"""Suites of which a process remembers the base's scores; the shipped ones stay, since every tenant asks for them."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Questions, and how answers to them are scored."""

    reward: Reward
    items: tuple[ScoredItem, ...]

    @cached_property
    def digest(self) -> str:
        """The sha256 of all that decides a given adapter's scores."""
        content = json.dumps([self.reward.name, [asdict(item) for item in self.items]], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCache:
    """The tenant's earlier measurements over this base. Adapters without a known artifact are not cached."""

    store: CachedScores
    tenant: str
    base: str  # its digest, and what else affects its answers: dtype and release
    artifacts: Mapping[str, str]  # digest by engine name
    base_scores: dict[str, Scores] = field(default_factory=dict)  # of the base, the same for every tenant

    async def find(self, files: AdapterFiles | None, suite: Suite) -> Scores | None:
        """Return the cached scores, if any."""
        key = self._key(files, suite)
        if files is None and key in self.base_scores:
            self.base_scores[key] = self.base_scores.pop(key)  # what is asked for stays
            return self.base_scores[key]
        return await asyncio.to_thread(self.store.get, self.tenant, key) if key else None

    async def keep(self, files: AdapterFiles | None, suite: Suite, scores: Scores) -> None:
        """Cache the scores."""
        if key := self._key(files, suite):
            if files is None:
                self.base_scores[key] = scores
                for oldest in list(self.base_scores)[:-MAX_BASE_SCORES]:
                    del self.base_scores[oldest]
            await asyncio.to_thread(self.store.keep, self.tenant, key, scores)

    def _key(self, files: AdapterFiles | None, suite: Suite) -> str:
        artifact = "base" if files is None else self.artifacts.get(files.name, "")
        parts = f"{suite.digest}:{self.base}:{artifact}"
        return hashlib.sha256(parts.encode()).hexdigest() if artifact else ""


async def score_matrix(
    client: EngineClient,
    adapters: Sequence[AdapterFiles | None],
    suites: Sequence[Suite],
    *,
    cache: ScoreCache | None = None,
) -> list[list[Scores | Failed]]:
    """Return, for each adapter (None: the base), its scores in each suite.

    An adapter or suite that cannot be measured does not stop the others. Raises: only what ends the cycle's attempt.
    """
    room = asyncio.Semaphore(await client.slots())
    return list(await asyncio.gather(*(_sheet(client, files, suites, room=room, cache=cache) for files in adapters)))


async def _sheet(
    client: EngineClient,
    files: AdapterFiles | None,
    suites: Sequence[Suite],
    *,
    room: asyncio.Semaphore,
    cache: ScoreCache | None,
) -> list[Scores | Failed]:
    found: list[Scores | Failed | None] = [await cache.find(files, suite) if cache else None for suite in suites]
    missing = [place for place, scores in enumerate(found) if scores is None]
    if missing:
        taken = await _measure(client, files, [suites[place] for place in missing], room=room)
        for place, scores in zip(missing, taken, strict=True):
            found[place] = scores
            if cache and not isinstance(scores, Failed):
                await cache.keep(files, suites[place], scores)
    return [scores for scores in found if scores is not None]


async def _measure(
    client: EngineClient, files: AdapterFiles | None, suites: Sequence[Suite], *, room: asyncio.Semaphore
) -> list[Scores | Failed]:
    async with AsyncExitStack() as stack:
        try:
            if files is not None:  # the base shares every batch
                await stack.enter_async_context(room)
            name = await stack.enter_async_context(client.loaded(files))
        except UNMEASURABLE as error:
            return [Failed(why=error.message)] * len(suites)
        return list(await asyncio.gather(*(_attempt(client, name, suite) for suite in suites)))


async def _attempt(client: EngineClient, name: str | None, suite: Suite) -> Scores | Failed:
    if not suite.items:
        return Failed(why="no questions")
    try:
        scores = await suite.reward.scores(client, name, suite.items)
    except UNMEASURABLE as error:
        return Failed(why=error.message)
    return scores if all(map(math.isfinite, scores)) else Failed(why="a score is not a number")
