"""The engine's contract: what `vllm_engine.py`, `remote.py` and the tests' fake all do.

An adapter is a name, and a name is never used twice for
other contents.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sealserve.records.inference import ChatTurn, EngineInfo, FinishReason, Sampling, TokenLogprob

TENANT_PRIORITY = 0


BACKGROUND_PRIORITY = 10  # lower goes first (vLLM's convention)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """One conversation to continue. `adapter` is a loaded engine name, or None for the base model."""

    request_id: str
    turns: tuple[ChatTurn, ...]
    adapter: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    cache_salt: str = ""
    priority: int = TENANT_PRIORITY
    trace_headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """Some more text of the answer number `index`. `finish` is set on the last delta of each answer.

    The last delta of all carries the usage.
    """

    text: str
    completion_tokens: int  # so far, of all answers to the conversation
    prompt_tokens: int
    cached_tokens: int
    finish: FinishReason | None = None
    index: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """Ask for log p(completion | turns) under `adapter` (natural log, summed over the completion's tokens)."""

    request_id: str
    turns: tuple[ChatTurn, ...]
    completion: str
    adapter: str | None = None
    cache_salt: str = ""
    priority: int = BACKGROUND_PRIORITY


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """A scored completion: nats, and how many tokens they are summed over."""

    log_likelihood: float
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterFiles:
    """An adapter to load: `name` is new for new contents; `path` is absolute and read-only."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an engine has come since it started: a supervisor compares two of these."""

    steps: int  # batches finished, with output or without
    cpu_seconds: float  # CPU time of its processes; 0 where it cannot be read
    slowest_step_seconds: float  # of the last 100; 0 before the first


class Engine(Protocol):
    """Generates and scores. Every method may raise Unavailable (starting, rebuilding, stopped)."""

    async def start(self) -> None:
        """Return when the first request can be answered (model loaded and warmed up)."""

    async def close(self) -> None:
        """Stop; running requests end with ABORT."""

    def generate(self, request: GenerateRequest) -> AsyncIterator[Delta]:
        """Stream the answer. Closing the iterator frees the sequence.

        Raises: InvalidArgument (too long, bad sampling), NotFound (adapter not loaded), EngineFailed, Unavailable.
        """

    async def score(self, request: ScoreRequest) -> Likelihood:
        """Return the completion's log-likelihood. Raises as `generate`."""

    async def count_tokens(self, turns: tuple[ChatTurn, ...]) -> int:
        """Return how many prompt tokens `turns` make, chat template included."""

    async def load(self, adapter: AdapterFiles) -> None:
        """Make the adapter answerable by name; twice is the same as once.

        Raises: BadAdapter (refused before the engine saw it, or by it; nothing stays behind), Unavailable.
        """

    async def unload(self, name: str) -> bool:
        """Drop the adapter; False if it was not loaded. The caller has drained it."""

    async def info(self) -> EngineInfo:
        """Return what runs now. Never raises."""
