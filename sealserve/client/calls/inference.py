"""Calls of InferenceService: answers, token counts and the state of the engine."""

from collections.abc import Iterable

from sealserve.client.calls.core import Call, call
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.records.reports import Answer, AnswerEvent, Model, ServerInfo
from sealserve.v1 import inference_pb2
from sealserve.wire import inference, names
from sealserve.wire.engine import sampling_to_wire, turns_to_wire


def generate(
    tenant: str,
    question: str | Iterable[ChatTurn],
    *,
    sampling: Sampling,
    request_id: str,
    min_activation: int,
    sticky_key: str = "",
    version: int | None = None,
) -> Call[Answer]:
    """Answer in one message."""
    request = inference_pb2.GenerateRequest(
        parent=names.tenant_name(tenant),
        messages=turns_to_wire(_turns(question)),
        sampling=sampling_to_wire(sampling),
        request_id=request_id,
        min_activation=min_activation,
        sticky_key=sticky_key,
        adapter="" if version is None else names.adapter_name(tenant, version),
    )
    return call("InferenceService/Generate", request, inference_pb2.GenerateResponse, inference.answer_from_wire)


def stream(
    tenant: str,
    question: str | Iterable[ChatTurn],
    *,
    sampling: Sampling,
    request_id: str,
    min_activation: int,
    sticky_key: str = "",
    version: int | None = None,
) -> Call[AnswerEvent]:
    """Answer piece by piece."""
    request = inference_pb2.StreamGenerateRequest(
        parent=names.tenant_name(tenant),
        messages=turns_to_wire(_turns(question)),
        sampling=sampling_to_wire(sampling),
        request_id=request_id,
        min_activation=min_activation,
        sticky_key=sticky_key,
        adapter="" if version is None else names.adapter_name(tenant, version),
    )
    response = inference_pb2.StreamGenerateResponse
    return call("InferenceService/StreamGenerate", request, response, inference.event_from_wire)


def count_tokens(tenant: str, question: str | Iterable[ChatTurn]) -> Call[int]:
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


def _turns(question: str | Iterable[ChatTurn]) -> tuple[ChatTurn, ...]:
    return (ChatTurn(role="user", content=question),) if isinstance(question, str) else tuple(question)
