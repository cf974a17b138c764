"""The calls about feedback and evaluation sets. As `calls.py`: no channel, no I/O."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from google.protobuf.message import Message

from sealserve.client.calls import PACKAGE, PAGE_SIZE, Call, new_request_id
from sealserve.evidence import EvaluationItem, EvaluationSet, Feedback, Opinion, VersionFeedback
from sealserve.records import Page
from sealserve.rpc.convert import evidence, names
from sealserve.v1 import evaluation_pb2, feedback_pb2

T = TypeVar("T")


def create_feedback(tenant: str, opinion: Opinion, *, request_id: str) -> Call[Feedback]:
    """Say what somebody thinks of an answer."""
    request = feedback_pb2.CreateFeedbackRequest(
        parent=names.tenant_name(tenant),
        feedback=evidence.opinion_to_wire(tenant, opinion),
        request_id=request_id or new_request_id(),
    )
    return _call("FeedbackService/CreateFeedback", request, feedback_pb2.Feedback, evidence.feedback_from_wire)


def list_feedback(tenant: str, *, page_token: str) -> Call[Page[Feedback]]:
    """Ask for a page of feedback."""
    request = feedback_pb2.ListFeedbackRequest(
        parent=names.tenant_name(tenant), page_size=PAGE_SIZE, page_token=page_token
    )

    def read(wire: Any) -> Page[Feedback]:
        items = tuple(map(evidence.feedback_from_wire, wire.feedback))
        return Page(items=items, next_page_token=wire.next_page_token)

    return _call("FeedbackService/ListFeedback", request, feedback_pb2.ListFeedbackResponse, read)


def summarize_feedback(tenant: str) -> Call[tuple[VersionFeedback, ...]]:
    """Ask for the thumbs of each version."""
    request = feedback_pb2.SummarizeFeedbackRequest(parent=names.tenant_name(tenant))

    def read(wire: Any) -> tuple[VersionFeedback, ...]:
        return tuple(map(evidence.version_feedback_from_wire, wire.versions))

    return _call("FeedbackService/SummarizeFeedback", request, feedback_pb2.SummarizeFeedbackResponse, read)


def add_evaluation_set(tenant: str, name: str, items: Iterable[EvaluationItem]) -> Call[tuple[EvaluationSet, bool]]:
    """Hand a set in; the answer is (set, is new)."""
    request = evaluation_pb2.AddEvaluationSetRequest(
        parent=names.tenant_name(tenant), set_id=name, items=map(evidence.item_to_wire, items)
    )

    def read(wire: Any) -> tuple[EvaluationSet, bool]:
        return evidence.set_from_wire(wire.evaluation_set), not wire.already_known

    return _call("EvaluationService/AddEvaluationSet", request, evaluation_pb2.AddEvaluationSetResponse, read)


def evaluation_set(tenant: str, name: str, *, revision: int) -> Call[EvaluationSet]:
    """Ask for one set with its items."""
    request = evaluation_pb2.GetEvaluationSetRequest(name=evidence.set_name(tenant, name), revision=revision)
    return _call("EvaluationService/GetEvaluationSet", request, evaluation_pb2.EvaluationSet, evidence.set_from_wire)


def list_evaluation_sets(tenant: str, *, page_token: str) -> Call[Page[tuple[EvaluationSet, int]]]:
    """Ask for a page of sets: each without items, and how many it has."""
    request = evaluation_pb2.ListEvaluationSetsRequest(
        parent=names.tenant_name(tenant), page_size=PAGE_SIZE, page_token=page_token
    )

    def read(wire: Any) -> Page[tuple[EvaluationSet, int]]:
        items = tuple((evidence.set_from_wire(one), int(one.item_count)) for one in wire.evaluation_sets)
        return Page(items=items, next_page_token=wire.next_page_token)

    return _call("EvaluationService/ListEvaluationSets", request, evaluation_pb2.ListEvaluationSetsResponse, read)


def _call(method: str, request: Message, response: type[Message], read: Callable[[Any], T]) -> Call[T]:
    return Call(path=f"/{PACKAGE}.{method}", request=request, response=response, read=read)
