"""Calls of EvaluationService: a tenant's question sets."""

from collections.abc import Iterable
from typing import Any

from sealserve.client.calls.core import PAGE_SIZE, Call, call, page
from sealserve.records.pages import Page
from sealserve.records.question_sets import EvaluationItem, EvaluationSet
from sealserve.v1 import evaluation_pb2
from sealserve.wire import feedback, names


def add_evaluation_set(tenant: str, name: str, items: Iterable[EvaluationItem]) -> Call[tuple[EvaluationSet, bool]]:
    """Hand a set in; the answer is (set, is new)."""
    request = evaluation_pb2.AddEvaluationSetRequest(
        parent=names.tenant_name(tenant), set_id=name, items=map(feedback.item_to_wire, items)
    )

    def read(wire: Any) -> tuple[EvaluationSet, bool]:
        return feedback.set_from_wire(wire.evaluation_set), not wire.already_known

    return call("EvaluationService/AddEvaluationSet", request, evaluation_pb2.AddEvaluationSetResponse, read)


def evaluation_set(tenant: str, name: str, *, revision: int) -> Call[EvaluationSet]:
    """Ask for one set with its items."""
    request = evaluation_pb2.GetEvaluationSetRequest(name=feedback.set_name(tenant, name), revision=revision)
    return call("EvaluationService/GetEvaluationSet", request, evaluation_pb2.EvaluationSet, feedback.set_from_wire)


def list_evaluation_sets(tenant: str, *, page_token: str) -> Call[Page[tuple[EvaluationSet, int]]]:
    """Ask for a page of sets: each without items, and how many it has."""
    request = evaluation_pb2.ListEvaluationSetsRequest(
        parent=names.tenant_name(tenant), page_size=PAGE_SIZE, page_token=page_token
    )
    read = page("evaluation_sets", lambda one: (feedback.set_from_wire(one), int(one.item_count)))
    return call("EvaluationService/ListEvaluationSets", request, evaluation_pb2.ListEvaluationSetsResponse, read)
