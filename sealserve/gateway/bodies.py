"""Reads and checks request bodies: OpenAI's parameters and vLLM's additions.

A parameter that does not affect the answer is ignored. Any other one that is unknown or not supported is refused by
name, unless its value asks for nothing.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from sealserve.errors import InvalidArgument
from sealserve.wire.engine import MAX_TURNS

IGNORED = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
    }
)
"""Parameters that do not affect the answer."""

NEUTRAL: dict[str, tuple[Any, ...]] = {
    "audio": (),
    "best_of": (1,),
    "echo": (False,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "prediction": (),
    "reasoning_effort": (),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "verbosity": (),
    "web_search_options": (),
    "add_generation_prompt": (True,),
    "add_special_tokens": (False,),
    "continue_final_message": (False,),
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True,),
    "include_stop_str_in_output": (False,),
    "use_beam_search": (False,),
    "length_penalty": (1, 1.0),
}
"""Parameters that are not supported, each with the values that ask for nothing."""

TOOLS = {"tools": "tool_choice", "functions": "function_call"}
"""What may be called, and what says whether it may: with "none" the answer is a text, as it always is here."""

MAX_PROMPTS = 16
MOST = 1024
"""Longer lists are refused before their members are read. Later checks set the real limits."""

B = TypeVar("B", bound="Body")

Text = Annotated[str, Field(max_length=64 * 2**20)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TextPart(_Part):
    """A part of a message."""

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """One turn, without calls of tools. Other keys, such as `name`, are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[TextPart], Field(max_length=MOST)] | None = None
    tool_calls: Annotated[list[Any], Field(max_length=0)] | None = None

    @property
    def text(self) -> str:
        """The text of the message."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or ())


class StreamOptions(BaseModel):
    """How to stream."""

    model_config = ConfigDict(extra="ignore", strict=True)

    include_usage: bool = False


class JsonSchema(BaseModel):
    """The schema that the answer follows. It always does, so `strict` changes nothing."""

    model_config = ConfigDict(extra="ignore", strict=True)

    json_schema: dict[str, Any] = Field(alias="schema")


class ResponseFormat(_Part):
    """What form the answer has."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StructuredOutputs(BaseModel):
    """vLLM's way to say what form the answer has."""

    model_config = ConfigDict(extra="forbid", strict=True)

    choice: Annotated[list[str], Field(max_length=MOST)] | None = None
    regex: str | None = None
    json_: dict[str, Any] | str | None = Field(None, alias="json")
    grammar: str | None = None


class Body(_Part):
    """What both routes accept. `check_sampling` bounds the values."""

    model: Text
    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    n: int = 1
    seed: int | None = None
    stop: str | Annotated[list[str], Field(max_length=MOST)] = []
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Annotated[dict[str, float], Field(max_length=MOST)] = {}
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    user: str = ""
    # vLLM's additions
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    min_tokens: int = 0
    stop_token_ids: Annotated[list[int], Field(max_length=MOST)] = []
    ignore_eos: bool = False
    structured_outputs: StructuredOutputs = StructuredOutputs()
    response_format: ResponseFormat | None = None


class ChatBody(Body):
    """Of /v1/chat/completions."""

    messages: Annotated[list[Message], Field(max_length=MAX_TURNS)]
    max_completion_tokens: int | None = None
    logprobs: bool = False
    top_logprobs: int = 0


class CompletionBody(Body):
    """Of /v1/completions."""

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=MAX_PROMPTS)]
    logprobs: int | None = None


class FeedbackBody(_Part):
    """Of /v1/feedback. `model` names the version that answered, as the answer's header does; the tenant is enough."""

    response_id: Annotated[str, Field(min_length=1, max_length=128)]
    thumb: Literal["up", "down"]
    model: str = ""
    question: str = ""
    answer: str = ""
    correction: str = ""


def read_body(raw: bytes, kind: type[B] | type[FeedbackBody]) -> Any:
    """Return `raw` as a body of that kind. Raises: InvalidArgument, naming the parameter."""
    try:
        tree = from_json(raw, allow_inf_nan=False)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument("the body is not JSON in UTF-8, or too deeply nested", field="") from error
    if not isinstance(tree, dict):
        raise InvalidArgument("the body must be a JSON object", field="")
    given = {name: value for name, value in tree.items() if value is not None and name not in IGNORED}
    for tools, choice in TOOLS.items():
        if given.get(choice) == "none" and isinstance(given.get(tools), list):
            del given[tools]
    for name in given.keys() - kind.model_fields.keys():
        _require_neutral(name, given.pop(name))
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise _fault(error) from error


def _require_neutral(name: str, value: Any) -> None:
    shown = name[:64] if name.isprintable() else "?"
    if name not in NEUTRAL:
        raise InvalidArgument(f"Unrecognized request argument supplied: {shown}", field=shown)
    if not any(type(value) is type(neutral) and value == neutral for neutral in NEUTRAL[name]):
        raise InvalidArgument(f"{shown} is not supported here", field=shown, reason="UNSUPPORTED_PARAMETER")


def _fault(error: ValidationError) -> InvalidArgument:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    first = max(found, key=lambda each: len(each["loc"]))  # of the branches of a union, the one that went deepest
    path = ""
    for part in first["loc"]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part.isidentifier() and part not in _BRANCHES:
            path += f".{part}" if path else part
    path = path[:128]
    return InvalidArgument(f"{path or 'the body'}: {first['msg'][:200]}", field=path)


_BRANCHES = frozenset({"str", "int", "float", "bool"})
"""How pydantic names the members of a union in the location of an error."""
