"""The executor interface: where training child processes run, what they are given, and how they end."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sealserve.canonical import Json

LAST_WORDS_BYTES = 2000
"""How much of a child's standard error an operator gets to see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A Python program, `python *arguments`, with `environment` on top of what it inherits.

    It may print JSON, a line each. Its standard input stays open for as long as it is wanted: when that ends, so must
    it. `threads` are the CPUs it may keep busy, `reads` what must lie where it runs. Waiting for a place to run is no
    part of `max_seconds`.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    threads: int
    max_seconds: float
    reads: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a child ended: its exit code (negative: the signal that killed it) and the end of its standard error."""

    code: int
    last_words: str


class Room(Protocol):
    """What children may use while it is held."""

    @property
    def cores(self) -> int:
        """The CPUs that one child can have."""

    @property
    def places(self) -> int:
        """How many children of one thread fit at once: 1 where they would share a CUDA device."""

    @property
    def is_elsewhere(self) -> bool:
        """Whether children may run on other machines, which see their own files."""

    async def run(self, child: Child, *, on_progress: Callable[[Json], None]) -> Ended:
        """Return how the child ended; `on_progress` gets each JSON object it prints. It is never retried.

        Cancelling kills it. Raises: TrainingFailed (it took too long, or what ran it was lost).
        """


class Executor(Protocol):
    """Runs children."""

    def room(self) -> AbstractAsyncContextManager[Room]:
        """Hold what children train on, and wait for it if it is taken.

        Raises: TrainingFailed (there is nothing to train on), LeaseLost (it was lost meanwhile).
        """

    async def close(self) -> None:
        """Let go of everything."""
