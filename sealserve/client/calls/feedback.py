"""Calls of FeedbackService."""

from typing import Any

from sealserve.client.calls.core import PAGE_SIZE, Call, call, new_request_id, page
from sealserve.records.feedback import Feedback, Opinion, VersionFeedback
from sealserve.records.pages import Page
from sealserve.v1 import feedback_pb2
from sealserve.wire import feedback, names


def create_feedback(tenant: str, opinion: Opinion, *, request_id: str) -> Call[Feedback]:
    """Say what somebody thinks of an answer."""
    request = feedback_pb2.CreateFeedbackRequest(
        parent=names.tenant_name(tenant),
        feedback=feedback.opinion_to_wire(tenant, opinion),
        request_id=request_id or new_request_id(),
    )
    return call("FeedbackService/CreateFeedback", request, feedback_pb2.Feedback, feedback.feedback_from_wire)


def list_feedback(tenant: str, *, page_token: str) -> Call[Page[Feedback]]:
    """Ask for a page of feedback."""
    request = feedback_pb2.ListFeedbackRequest(
        parent=names.tenant_name(tenant), page_size=PAGE_SIZE, page_token=page_token
    )
    read = page("feedback", feedback.feedback_from_wire)
    return call("FeedbackService/ListFeedback", request, feedback_pb2.ListFeedbackResponse, read)


def summarize_feedback(tenant: str) -> Call[tuple[VersionFeedback, ...]]:
    """Ask for the thumbs of each version."""
    request = feedback_pb2.SummarizeFeedbackRequest(parent=names.tenant_name(tenant))

    def read(wire: Any) -> tuple[VersionFeedback, ...]:
        return tuple(map(feedback.version_feedback_from_wire, wire.versions))

    return call("FeedbackService/SummarizeFeedback", request, feedback_pb2.SummarizeFeedbackResponse, read)
