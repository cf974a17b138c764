"""Calls of CanaryService: a tenant's regression suites and their nightly results."""

from collections.abc import Iterable
from typing import Any

from sealserve.client.calls.core import PAGE_SIZE, Call, call, new_request_id, page
from sealserve.records.canary_suites import CanaryItem, CanaryResult, CanarySuite
from sealserve.records.pages import Page
from sealserve.v1 import canary_pb2
from sealserve.wire import canaries, names


def put_canary_suite(
    tenant: str, name: str, items: Iterable[CanaryItem], *, request_id: str
) -> Call[tuple[CanarySuite, bool]]:
    """Hand a suite in; the answer is (suite, is new)."""
    request = canary_pb2.PutCanarySuiteRequest(
        parent=names.tenant_name(tenant),
        suite_id=name,
        items=map(canaries.item_to_wire, items),
        request_id=request_id or new_request_id(),
    )

    def read(wire: Any) -> tuple[CanarySuite, bool]:
        return canaries.suite_from_wire(wire.canary_suite), not wire.already_known

    return call("CanaryService/PutCanarySuite", request, canary_pb2.PutCanarySuiteResponse, read)


def canary_suite(tenant: str, name: str, *, version: int) -> Call[CanarySuite]:
    """Ask for one suite with its items."""
    request = canary_pb2.GetCanarySuiteRequest(name=canaries.suite_name(tenant, name), version=version)
    return call("CanaryService/GetCanarySuite", request, canary_pb2.CanarySuite, canaries.suite_from_wire)


def list_canary_suites(tenant: str, *, page_token: str) -> Call[Page[tuple[CanarySuite, int]]]:
    """Ask for a page of suites: each without items, and how many it has."""
    request = canary_pb2.ListCanarySuitesRequest(
        parent=names.tenant_name(tenant), page_size=PAGE_SIZE, page_token=page_token
    )
    read = page("canary_suites", lambda one: (canaries.suite_from_wire(one), int(one.item_count)))
    return call("CanaryService/ListCanarySuites", request, canary_pb2.ListCanarySuitesResponse, read)


def retire_canary_suite(tenant: str, name: str, *, reason: str) -> Call[CanarySuite]:
    """Have a suite asked no more."""
    request = canary_pb2.RetireCanarySuiteRequest(name=canaries.suite_name(tenant, name), reason=reason)
    return call("CanaryService/RetireCanarySuite", request, canary_pb2.CanarySuite, canaries.suite_from_wire)


def list_canary_results(tenant: str, *, suite: str, page_token: str) -> Call[Page[CanaryResult]]:
    """Ask for a page of the trend."""
    request = canary_pb2.ListCanaryResultsRequest(
        parent=names.tenant_name(tenant), suite_id=suite, page_size=PAGE_SIZE, page_token=page_token
    )
    read = page("results", canaries.result_from_wire)
    return call("CanaryService/ListCanaryResults", request, canary_pb2.ListCanaryResultsResponse, read)
