"""Canary suites, and how versions did in them."""

import re

from sealserve.canaries.items import item_fault
from sealserve.errors import InvalidArgument
from sealserve.grading.answers import Matcher
from sealserve.records.canary_suites import CanaryItem, CanaryResult, CanarySuite
from sealserve.v1 import canary_pb2, evaluation_pb2
from sealserve.wire import names
from sealserve.wire.enums import enum_from_wire, enum_to_wire
from sealserve.wire.values import time_from_wire, time_to_wire

_MATCHER = evaluation_pb2.DESCRIPTOR.enum_types_by_name["Matcher"]
_SUITE_NAME = re.compile(r"tenants/([a-z][a-z0-9-]{0,62})/canarySuites/([a-z][a-z0-9-]{0,62})", re.ASCII)


def item_to_wire(item: CanaryItem) -> canary_pb2.CanaryItem:
    """Return the whole of `item`."""
    return canary_pb2.CanaryItem(
        item_id=item.item,
        prompt=item.prompt,
        matcher=enum_to_wire(Matcher(item.matcher), _MATCHER),
        answer=item.answer,
        pattern=item.pattern,
        tolerance=item.tolerance,
        choices=item.choices,
        schema=item.schema,
        kind=item.kind,
        max_tokens=item.max_tokens,
    )


def item_from_wire(wire: canary_pb2.CanaryItem) -> CanaryItem:
    """Return the whole of `wire`; contains where no matcher is set. Raises: InvalidArgument."""
    matcher = enum_from_wire(wire.matcher, Matcher, descriptor=_MATCHER)
    if wire.matcher and matcher is None:
        raise InvalidArgument(f"matcher {wire.matcher} is not one this server knows", field="items.matcher")
    item = CanaryItem(
        item=wire.item_id,
        prompt=wire.prompt,
        matcher=(matcher or Matcher.CONTAINS).value,
        answer=wire.answer,
        pattern=wire.pattern,
        tolerance=wire.tolerance,
        choices=tuple(wire.choices),
        schema=wire.schema,
        kind=wire.kind,
        max_tokens=wire.max_tokens,
    )
    if fault := item_fault(item):
        raise InvalidArgument(f"item {item.item[:64]!r}: {fault}", field="items")
    return item


def suite_to_wire(one: CanarySuite) -> canary_pb2.CanarySuite:
    """Return the whole of `one`."""
    return canary_pb2.CanarySuite(
        name=suite_name(one.tenant, one.name),
        version=one.version,
        items=map(item_to_wire, one.items),
        item_count=one.item_count,
        digest=one.digest,
        actor=one.actor,
        create_time=time_to_wire(one.created_at),
        retire_time=time_to_wire(one.retired_at) if one.retired_at else None,
    )


def suite_from_wire(wire: canary_pb2.CanarySuite) -> CanarySuite:
    """Return the whole of `wire`; from a listing it has no items."""
    tenant, name = suite_of(wire.name)
    return CanarySuite(
        tenant=tenant,
        name=name,
        version=wire.version,
        items=tuple(map(item_from_wire, wire.items)),
        item_count=wire.item_count,
        digest=wire.digest,
        actor=wire.actor,
        created_at=time_from_wire(wire.create_time),
        retired_at=time_from_wire(wire.retire_time) if wire.HasField("retire_time") else None,
    )


def result_to_wire(one: CanaryResult) -> canary_pb2.CanaryResult:
    """Return the whole of `one`."""
    return canary_pb2.CanaryResult(
        adapter=names.adapter_name(one.tenant, one.version),
        suite_id=one.suite,
        suite_version=one.suite_version,
        n=one.n,
        share=one.share,
        share_low=one.low,
        share_high=one.high,
        gain=one.gain,
        gain_low=one.gain_low,
        gain_high=one.gain_high,
        fell_against=one.fell,
        unmeasured_reason=one.why,
        take_time=time_to_wire(one.taken_at),
    )


def result_from_wire(wire: canary_pb2.CanaryResult) -> CanaryResult:
    """Return the whole of `wire`."""
    tenant, version = names.adapter_of(wire.adapter, field="adapter")
    return CanaryResult(
        tenant=tenant,
        version=version,
        suite=wire.suite_id,
        suite_version=wire.suite_version,
        n=wire.n,
        share=wire.share,
        low=wire.share_low,
        high=wire.share_high,
        gain=wire.gain,
        gain_low=wire.gain_low,
        gain_high=wire.gain_high,
        fell=tuple(wire.fell_against),
        why=wire.unmeasured_reason,
        taken_at=time_from_wire(wire.take_time),
    )


def suite_name(tenant: str, name: str) -> str:
    """Return `tenants/{tenant}/canarySuites/{suite}`."""
    return f"tenants/{tenant}/canarySuites/{name}"


def suite_of(name: str) -> tuple[str, str]:
    """Return (tenant, suite). Raises: InvalidArgument."""
    match = _SUITE_NAME.fullmatch(name)
    if match is None:
        raise InvalidArgument("name must have the form tenants/{tenant}/canarySuites/{suite}", field="name")
    return match[1], match[2]
