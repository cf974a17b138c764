"""The engine's requests and answers as wire messages and back: used by both ends of EngineService and by inference.

Messages from the wire are checked here once: roles, sizes, sampling.
"""

from collections.abc import Iterable
from typing import Any

from sealserve.errors import InvalidArgument
from sealserve.records.inference import ChatTurn, EngineInfo, EngineState, FinishReason, Sampling, TokenLogprob
from sealserve.records.reports import Choice
from sealserve.records.sampling import check_sampling
from sealserve.v1 import common_pb2, engine_pb2, inference_pb2

MAX_TURNS = 1024

_ROLES: dict[str, common_pb2.Role.ValueType] = {
    "system": common_pb2.ROLE_SYSTEM,
    "user": common_pb2.ROLE_USER,
    "assistant": common_pb2.ROLE_ASSISTANT,
}
_ROLE_NAMES = {number: name for name, number in _ROLES.items()}
_FINISHES: dict[FinishReason, common_pb2.FinishReason.ValueType] = {
    FinishReason.STOP: common_pb2.FINISH_REASON_STOP,
    FinishReason.LENGTH: common_pb2.FINISH_REASON_LENGTH,
    FinishReason.ABORT: common_pb2.FINISH_REASON_ABORT,
}
_FINISH_NAMES = {number: finish for finish, number in _FINISHES.items()}
_NUMBERS: tuple[Any, ...] = (
    "max_tokens",
    "temperature",
    "top_p",
    "seed",
    "n",
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "min_tokens",
    "logprobs",
)
"""Fields of Sampling that may be unset, spelled as those of the record."""

_STATES: dict[EngineState, inference_pb2.EngineState.ValueType] = {
    EngineState.STARTING: inference_pb2.ENGINE_STATE_STARTING,
    EngineState.SERVING: inference_pb2.ENGINE_STATE_SERVING,
    EngineState.REBUILDING: inference_pb2.ENGINE_STATE_REBUILDING,
    EngineState.STOPPED: inference_pb2.ENGINE_STATE_STOPPED,
}
_STATE_NAMES = {number: state for state, number in _STATES.items()}


def turns_to_wire(turns: Iterable[ChatTurn]) -> list[common_pb2.Message]:
    """Raises: InvalidArgument (unknown role, text that is not Unicode)."""
    for turn in turns:
        if turn.role not in _ROLES:
            raise InvalidArgument(f"role {turn.role!r} is not one of {', '.join(_ROLES)}", field="messages.role")
        check_text(turn.content, field="messages.content")
    return [common_pb2.Message(role=_ROLES[turn.role], content=turn.content) for turn in turns]


def check_text(text: str, *, field: str) -> None:
    """Return if `text` can be sent. Raises: InvalidArgument (lone surrogates: bytes that were not UTF-8)."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{field} is not valid Unicode: was it read from UTF-8?", field=field) from error


def turns_from_wire(messages: Iterable[common_pb2.Message], *, max_bytes: int) -> tuple[ChatTurn, ...]:
    """Return the turns of a conversation.

    Raises: InvalidArgument (none, too many, unknown role, empty content, more than `max_bytes` of text in all).
    """
    return checked_turns((_turn(index, message) for index, message in enumerate(messages)), max_bytes=max_bytes)


def checked_turns(given: Iterable[ChatTurn], *, max_bytes: int) -> tuple[ChatTurn, ...]:
    """Return the turns of a conversation. Raises: as `turns_from_wire`."""
    turns = tuple(given)
    for index, turn in enumerate(turns):
        if not turn.content and turn.role != "assistant":
            raise InvalidArgument(f"messages[{index}].content is empty", field=f"messages[{index}].content")
    if not turns:
        raise InvalidArgument("messages is empty: send at least one turn", field="messages")
    if len(turns) > MAX_TURNS:
        raise InvalidArgument(f"{len(turns)} turns; at most {MAX_TURNS} are taken", field="messages")
    size = sum(len(turn.content.encode()) for turn in turns)
    if size > max_bytes:
        text = f"the conversation is {size} bytes; at most {max_bytes} are taken"
        raise InvalidArgument(text, field="messages", reason="TOO_LARGE")
    return turns


def _turn(index: int, message: common_pb2.Message) -> ChatTurn:
    role = _ROLE_NAMES.get(message.role)
    if role is None:
        raise InvalidArgument(
            f"messages[{index}].role is {message.role}: set it to ROLE_SYSTEM, ROLE_USER or ROLE_ASSISTANT",
            field=f"messages[{index}].role",
        )
    return ChatTurn(role=role, content=message.content)


def sampling_to_wire(sampling: Sampling) -> common_pb2.Sampling:
    """Every field is set: the receiver's defaults never enter."""
    return common_pb2.Sampling(
        stop=sampling.stop,
        choice=sampling.choice,
        regex=sampling.regex,
        json_schema=sampling.json_schema,
        grammar=sampling.grammar,
        stop_token_ids=sampling.stop_token_ids,
        logit_bias=dict(sampling.logit_bias),
        **{name: getattr(sampling, name) for name in _NUMBERS},
    )


def sampling_from_wire(wire: common_pb2.Sampling) -> Sampling:
    """Return how to sample, defaults filled in. Raises: InvalidArgument naming the field."""
    sampling = Sampling(
        stop=tuple(wire.stop),
        choice=tuple(wire.choice),
        regex=wire.regex,
        json_schema=wire.json_schema,
        grammar=wire.grammar,
        stop_token_ids=tuple(wire.stop_token_ids),
        logit_bias=tuple(sorted(wire.logit_bias.items())),
        **{name: getattr(wire, name) for name in _NUMBERS if wire.HasField(name)},
    )
    try:
        check_sampling(sampling)
    except InvalidArgument as error:
        raise InvalidArgument(f"sampling.{error.message}", field=f"sampling.{error.field}") from error
    return sampling


def logprobs_to_wire(logprobs: Iterable[TokenLogprob]) -> list[common_pb2.TokenLogprob]:
    """Return the tokens, as they are sent."""
    return [
        common_pb2.TokenLogprob(
            token=each.token,
            logprob=each.logprob,
            top=[common_pb2.TopToken(token=token, logprob=logprob) for token, logprob in each.top],
        )
        for each in logprobs
    ]


def logprobs_from_wire(wire: Iterable[common_pb2.TokenLogprob]) -> tuple[TokenLogprob, ...]:
    """Return the whole of `wire`."""
    return tuple(
        TokenLogprob(token=each.token, logprob=each.logprob, top=tuple((top.token, top.logprob) for top in each.top))
        for each in wire
    )


def choices_to_wire(choices: Iterable[Choice]) -> list[common_pb2.Choice]:
    """Return the answers, as they are sent; nothing for a single one that its message holds already."""
    given = tuple(choices)
    if len(given) == 1 and not given[0].logprobs:
        return []
    return [
        common_pb2.Choice(
            index=each.index,
            text=each.text,
            finish_reason=finish_to_wire(each.finish),
            logprobs=logprobs_to_wire(each.logprobs),
        )
        for each in given
    ]


def choices_from_wire(
    wire: Iterable[common_pb2.Choice], *, text: str, finish: common_pb2.FinishReason.ValueType
) -> tuple[Choice, ...]:
    """Return the answers; where none is sent, the one of `text` and `finish`."""
    found = tuple(
        Choice(
            index=each.index,
            text=each.text,
            finish=finish_from_wire(each.finish_reason),
            logprobs=logprobs_from_wire(each.logprobs),
        )
        for each in wire
    )
    return found or (Choice(index=0, text=text, finish=finish_from_wire(finish)),)


def finish_to_wire(finish: FinishReason | None) -> common_pb2.FinishReason.ValueType:
    """None, an answer without an end, is sent as unspecified."""
    return _FINISHES[finish] if finish else common_pb2.FINISH_REASON_UNSPECIFIED


def finish_from_wire(number: common_pb2.FinishReason.ValueType) -> FinishReason:
    """An unknown number, from a newer server, reads as an abort."""
    return _FINISH_NAMES.get(number, FinishReason.ABORT)


def state_to_wire(state: EngineState) -> inference_pb2.EngineState.ValueType:
    """Return the state's number."""
    return _STATES[state]


def state_from_wire(number: inference_pb2.EngineState.ValueType) -> EngineState:
    """An unknown number, from a newer server, reads as stopped."""
    return _STATE_NAMES.get(number, EngineState.STOPPED)


def info_to_wire(info: EngineInfo) -> engine_pb2.EngineInfo:
    """Return the whole of `info`."""
    return engine_pb2.EngineInfo(
        state=state_to_wire(info.state),
        model=info.model,
        base_digest=info.base_digest,
        max_context_tokens=info.max_context_tokens,
        max_rank=info.max_rank,
        slots=info.slots,
        loaded=info.loaded,
        rebuilds=info.rebuilds,
    )


def info_from_wire(wire: engine_pb2.EngineInfo) -> EngineInfo:
    """Return the whole of `wire`."""
    return EngineInfo(
        state=state_from_wire(wire.state),
        model=wire.model,
        base_digest=wire.base_digest,
        max_context_tokens=wire.max_context_tokens,
        max_rank=wire.max_rank,
        slots=wire.slots,
        loaded=tuple(wire.loaded),
        rebuilds=wire.rebuilds,
    )
