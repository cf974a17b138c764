"""What a generation request is made of, and what an engine says of itself."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTurn:
    """One message; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to sample. temperature 0 is greedy; `seed` None lets the engine choose.

    At most one of the last three is set. The whole answer then is one of `choice`, matches `regex` from end to end, or
    is JSON that `json_schema` accepts; an answer that is cut is the beginning of one. The engine decides this token by
    token.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    choice: tuple[str, ...] = ()
    regex: str = ""
    json_schema: str = ""  # as `json.dumps` writes it, keys in the order in which they are answered

    @property
    def constraint(self) -> str:
        """The name of the field that not every answer fits; "" if there is none."""
        return next((name for name in ("choice", "regex", "json_schema") if getattr(self, name)), "")


class FinishReason(StrEnum):
    """Why generation ended."""

    STOP = "stop"
    LENGTH = "length"
    ABORT = "abort"


class EngineState(StrEnum):
    """Can it answer?"""

    STARTING = "starting"
    SERVING = "serving"
    REBUILDING = "rebuilding"  # died or hung; being started again
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What runs: `base_digest` names the base model's exact weights."""

    state: EngineState
    model: str
    base_digest: str
    max_context_tokens: int
    max_rank: int
    slots: int  # adapters that can share one batch
    loaded: tuple[str, ...]
    rebuilds: int
    max_prompt_characters: int = 0  # no conversation of more characters can fit; 0: not known
