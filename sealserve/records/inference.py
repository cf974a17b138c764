"""What a generation request is made of, and what an engine says of itself."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTurn:
    """One message; `role` is "system", "user" or "assistant".

    A turn of the role "prompt" stands alone: its text is continued as it is, without the chat template.
    """

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to sample. temperature 0 is greedy; `seed` None lets the engine choose. The defaults leave everything alone.

    At most one of the last four is set. The whole answer then is one of `choice`, matches `regex` from end to end, is
    JSON that `json_schema` accepts, or a sentence of `grammar`; an answer that is cut is the beginning of one. The
    engine decides this token by token.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1  # answers to the same conversation
    top_k: int = 0  # 0: all tokens
    min_p: float = 0.0  # relative to the likeliest token
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    min_tokens: int = 0
    stop_token_ids: tuple[int, ...] = ()
    logit_bias: tuple[tuple[int, float], ...] = ()  # (token id, what is added to its logit)
    logprobs: int | None = None  # how many of the likeliest tokens are reported beside each; None: nothing is
    choice: tuple[str, ...] = ()
    regex: str = ""
    json_schema: str = ""  # as `json.dumps` writes it, keys in the order in which they are answered
    grammar: str = ""  # in Lark's syntax

    @property
    def constraint(self) -> str:
        """The name of the field that not every answer fits; "" if there is none."""
        return next((name for name in CONSTRAINTS if getattr(self, name)), "")


CONSTRAINTS = ("choice", "regex", "json_schema", "grammar")
"""The fields of `Sampling` that say what an answer may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprob:
    """A token of an answer and its log probability (natural log), beside the likeliest ones at its place."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


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
