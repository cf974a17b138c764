"""Calls of InferenceService: answers, token counts and the state of the engine."""

from collections.abc import Iterable
from typing import Any, TypedDict

from sealserve.client.calls.core import Call, call
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.records.reports import Answer, AnswerEvent, Model, ServerInfo
from sealserve.v1 import inference_pb2
from sealserve.wire import inference, names
from sealserve.wire.engine import sampling_to_wire, turns_to_wire

Question = str | Iterable[ChatTurn]


class SamplingOptions(TypedDict, total=False):
    """The fields of `Sampling` that are arguments of `ask`; the defaults are those of `Sampling`."""

    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None
    stop: tuple[str, ...]
    choice: tuple[str, ...]
    regex: str
    json_schema: str


class AskOptions(SamplingOptions, total=False):
    """The keyword arguments of `ask` and `stream`, all optional."""

    sampling: (
        Sampling | None
    )  # instead of all of the above, and for more: several answers, penalties, log probabilities
    request_id: str
    min_activation: int  # fail until the server has reached this activation
    sticky_key: str  # requests with the same key get the same version
    version: int | None  # this one answers (0: the base model), or the call fails


def generate(tenant: str, question: Question, options: AskOptions) -> Call[Answer]:
    """Answer in one message."""
    request = inference_pb2.GenerateRequest(**_fields(tenant, question, **options))
    return call("InferenceService/Generate", request, inference_pb2.GenerateResponse, inference.answer_from_wire)


def stream(tenant: str, question: Question, options: AskOptions) -> Call[AnswerEvent]:
    """Answer piece by piece."""
    request = inference_pb2.StreamGenerateRequest(**_fields(tenant, question, **options))
    response = inference_pb2.StreamGenerateResponse
    return call("InferenceService/StreamGenerate", request, response, inference.event_from_wire)


def count_tokens(tenant: str, question: Question) -> Call[int]:
    """Count the tokens of a conversation."""
    request = inference_pb2.CountTokensRequest(
        parent=names.tenant_name(tenant), messages=turns_to_wire(_turns(question))
    )
    return call(
        "InferenceService/CountTokens", request, inference_pb2.CountTokensResponse, lambda wire: int(wire.prompt_tokens)
    )


def models(tenant: str) -> Call[tuple[Model, ...]]:
    """List what a request of the tenant can name."""
    request = inference_pb2.ListModelsRequest(parent=names.tenant_name(tenant))
    return call("InferenceService/ListModels", request, inference_pb2.ListModelsResponse, inference.models_from_wire)


def server_info() -> Call[ServerInfo]:
    """Ask what answers here."""
    request = inference_pb2.GetServerInfoRequest()
    return call("InferenceService/GetServerInfo", request, inference_pb2.ServerInfo, inference.server_info_from_wire)


def _fields(
    tenant: str,
    question: Question,
    *,
    sampling: Sampling | None = None,
    version: int | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Return the fields of a request, which is the same for one message and for a stream."""
    own: dict[str, Any] = {
        name: options.pop(name) for name in ("request_id", "min_activation", "sticky_key") if name in options
    }
    given = Sampling(**options)  # also with `sampling`: TypeError for an argument that does not exist
    return {
        "parent": names.tenant_name(tenant),
        "messages": turns_to_wire(_turns(question)),
        "sampling": sampling_to_wire(sampling or given),
        "adapter": "" if version is None else names.adapter_name(tenant, version),
        **own,
    }


def _turns(question: Question) -> tuple[ChatTurn, ...]:
    return (ChatTurn(role="user", content=question),) if isinstance(question, str) else tuple(question)
