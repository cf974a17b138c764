"""Answers, their events, and what a server says of itself."""

from collections.abc import Iterable

from sealserve.records.reports import Answer, AnswerEvent, Answering, Ended, Model, Piece, ServerInfo, Usage
from sealserve.v1 import common_pb2, inference_pb2
from sealserve.wire import names
from sealserve.wire.engine import (
    choices_from_wire,
    choices_to_wire,
    finish_from_wire,
    finish_to_wire,
    logprobs_from_wire,
    logprobs_to_wire,
    state_from_wire,
    state_to_wire,
)


def answer_from_wire(wire: inference_pb2.GenerateResponse) -> Answer:
    """Return the whole of `wire`."""
    return Answer(
        text=wire.text,
        finish=finish_from_wire(wire.finish_reason),
        usage=_usage_from_wire(wire.usage),
        answering=_answering_from_wire(wire.metadata),
        choices=choices_from_wire(wire.choices, text=wire.text, finish=wire.finish_reason),
    )


def answer_to_wire(answer: Answer) -> inference_pb2.GenerateResponse:
    """Return the whole of `answer`."""
    return inference_pb2.GenerateResponse(
        metadata=_answering_to_wire(answer.answering),
        text=answer.text,
        finish_reason=finish_to_wire(answer.finish),
        usage=_usage_to_wire(answer.usage),
        choices=choices_to_wire(answer.choices),
    )


def event_to_wire(event: AnswerEvent) -> inference_pb2.StreamGenerateResponse:
    """Return one message of a stream."""
    if isinstance(event, Piece):
        delta = inference_pb2.TextDelta(
            text=event.text,
            completion_tokens=event.completion_tokens,
            index=event.index,
            logprobs=logprobs_to_wire(event.logprobs),
            finish_reason=finish_to_wire(event.finish),
        )
        return inference_pb2.StreamGenerateResponse(delta=delta)
    if isinstance(event, Answering):
        return inference_pb2.StreamGenerateResponse(metadata=_answering_to_wire(event))
    end = inference_pb2.AnswerEnd(finish_reason=finish_to_wire(event.finish), usage=_usage_to_wire(event.usage))
    return inference_pb2.StreamGenerateResponse(end=end)


def event_from_wire(wire: inference_pb2.StreamGenerateResponse) -> AnswerEvent:
    """Return one event of a stream; an event of a newer server reads as an empty piece."""
    match wire.WhichOneof("event"):
        case "metadata":
            return _answering_from_wire(wire.metadata)
        case "end":
            return Ended(finish=finish_from_wire(wire.end.finish_reason), usage=_usage_from_wire(wire.end.usage))
        case _:
            delta = wire.delta
            return Piece(
                text=delta.text,
                completion_tokens=delta.completion_tokens,
                index=delta.index,
                logprobs=logprobs_from_wire(delta.logprobs),
                finish=finish_from_wire(delta.finish_reason) if delta.finish_reason else None,
            )


def _answering_to_wire(answering: Answering) -> inference_pb2.AnswerMetadata:
    return inference_pb2.AnswerMetadata(
        request_id=answering.request_id,
        adapter=names.adapter_name(answering.tenant, answering.version),
        activation=answering.activation,
        base_digest=answering.base_digest,
        prompt_tokens=answering.prompt_tokens,
    )


def _answering_from_wire(wire: inference_pb2.AnswerMetadata) -> Answering:
    tenant, version = names.adapter_of(wire.adapter)
    return Answering(
        request_id=wire.request_id,
        tenant=tenant,
        version=version,
        activation=wire.activation,
        base_digest=wire.base_digest,
        prompt_tokens=wire.prompt_tokens,
    )


def _usage_to_wire(usage: Usage) -> common_pb2.Usage:
    return common_pb2.Usage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
    )


def _usage_from_wire(wire: common_pb2.Usage) -> Usage:
    return Usage(
        prompt_tokens=wire.prompt_tokens,
        completion_tokens=wire.completion_tokens,
        cached_tokens=wire.cached_tokens,
    )


def server_info_to_wire(info: ServerInfo) -> inference_pb2.ServerInfo:
    """Return the whole of `info`."""
    return inference_pb2.ServerInfo(
        server_version=info.server_version,
        replica=info.replica,
        model=info.model,
        base_digest=info.base_digest,
        max_context_tokens=info.max_context_tokens,
        engine_state=state_to_wire(info.engine_state),
        rebuilds=info.rebuilds,
    )


def server_info_from_wire(wire: inference_pb2.ServerInfo) -> ServerInfo:
    """Return the whole of `wire`."""
    return ServerInfo(
        server_version=wire.server_version,
        replica=wire.replica,
        model=wire.model,
        base_digest=wire.base_digest,
        max_context_tokens=wire.max_context_tokens,
        engine_state=state_from_wire(wire.engine_state),
        rebuilds=wire.rebuilds,
    )


def models_to_wire(models: Iterable[Model], *, desired: int) -> inference_pb2.ListModelsResponse:
    """Return a tenant's models, as they are sent; `desired` is the version whose turn it is."""
    return inference_pb2.ListModelsResponse(
        models=[
            inference_pb2.Model(
                id=model.id,
                adapter=names.adapter_name(model.tenant, desired if model.version is None else model.version),
                active=model.active,
            )
            for model in models
        ]
    )


def models_from_wire(wire: inference_pb2.ListModelsResponse) -> tuple[Model, ...]:
    """Return the whole of `wire`."""
    found = ((model, *names.adapter_of(model.adapter)) for model in wire.models)
    return tuple(
        Model(tenant=tenant, version=version if "@" in model.id else None, active=model.active)
        for model, tenant, version in found
    )
