"""Watches and traffic."""

import re

from sealserve.errors import InvalidArgument
from sealserve.records.rollouts import Count, Signal, Traffic, Trigger, Watch, WatchReport, WatchState
from sealserve.v1 import adapter_pb2, watch_pb2
from sealserve.wire import names
from sealserve.wire.enums import enum_from_wire, enum_to_wire
from sealserve.wire.values import time_from_wire, time_to_wire

_STATE = watch_pb2.DESCRIPTOR.enum_types_by_name["WatchState"]
_WATCH_NAME = re.compile(r"(tenants/[a-z0-9-]+)/watches/([1-9][0-9]{0,8})", re.ASCII)


def traffic_to_wire(traffic: Traffic) -> adapter_pb2.Traffic:
    """Return the whole of `traffic`."""
    return adapter_pb2.Traffic(
        shares=[
            adapter_pb2.TrafficShare(adapter=names.adapter_name(traffic.tenant, version), share=share)
            for version, share in traffic.shares.items()
        ],
        activation=traffic.activation,
        etag=traffic.etag,
    )


def traffic_from_wire(wire: adapter_pb2.Traffic) -> Traffic:
    """Return the whole of `wire`."""
    found = [(*names.adapter_of(one.adapter), one.share) for one in wire.shares]
    return Traffic(
        tenant=found[0][0],
        shares={version: share for _, version, share in found},
        activation=wire.activation,
        etag=wire.etag,
    )


def shares_from_wire(wire: adapter_pb2.SetTrafficRequest, *, tenant: str) -> dict[int, float]:
    """Return the share of each version. Raises: InvalidArgument (another tenant's version, one named twice)."""
    shares: dict[int, float] = {}
    for one in wire.shares:
        owner, version = names.adapter_of(one.adapter, field="shares.adapter")
        if owner != tenant:
            raise InvalidArgument("every version must be one of the parent's", field="shares.adapter")
        if version in shares:
            raise InvalidArgument(f"{one.adapter} is named twice", field="shares.adapter")
        shares[version] = one.share
    return shares


def report_to_wire(report: WatchReport) -> watch_pb2.Watch:
    """Return the whole of `report`."""
    watch = report.watch
    return watch_pb2.Watch(
        name=watch_name(watch.tenant, watch.activation),
        adapter=names.adapter_name(watch.tenant, watch.version),
        incumbent_adapter=names.adapter_name(watch.tenant, watch.incumbent),
        state=enum_to_wire(watch.state, _STATE),
        stage=0 if watch.stage is None else watch.stage + 1,
        trigger=watch.trigger or "",
        reason=watch.reason,
        counts={count.value: value for count, value in watch.counts.items()},
        signals=[
            watch_pb2.WatchSignal(
                name=one.trigger.value, bad=one.bad, n=one.n, tolerated=one.tolerated, e_value=one.e_value
            )
            for one in report.signals
        ],
        limit=report.limit,
        open_time=time_to_wire(watch.opened_at),
        decide_time=time_to_wire(watch.decided_at) if watch.decided_at else None,
    )


def report_from_wire(wire: watch_pb2.Watch) -> WatchReport:
    """Return `wire`; when its stage began is not told, and counts and signals of a newer server are left out."""
    tenant, activation = watch_of(wire.name)
    watch = Watch(
        tenant=tenant,
        activation=activation,
        version=names.adapter_of(wire.adapter)[1],
        incumbent=names.adapter_of(wire.incumbent_adapter)[1],
        state=enum_from_wire(wire.state, WatchState, descriptor=_STATE) or WatchState.OPEN,
        stage=wire.stage - 1 if wire.stage else None,
        trigger=Trigger(wire.trigger) if wire.trigger in set(Trigger) else None,
        reason=wire.reason,
        counts={count: wire.counts[count.value] for count in Count if count.value in wire.counts},
        opened_at=time_from_wire(wire.open_time),
        staged_at=time_from_wire(wire.open_time),
        decided_at=time_from_wire(wire.decide_time) if wire.HasField("decide_time") else None,
    )
    signals = tuple(
        Signal(trigger=Trigger(one.name), bad=one.bad, n=one.n, tolerated=one.tolerated, e_value=one.e_value)
        for one in wire.signals
        if one.name in set(Trigger)
    )
    return WatchReport(watch=watch, signals=signals, limit=wire.limit)


def watch_name(tenant: str, activation: int) -> str:
    """Return `tenants/{tenant}/watches/{activation}`."""
    return f"tenants/{tenant}/watches/{activation}"


def watch_of(name: str) -> tuple[str, int]:
    """Return (tenant, activation). Raises: InvalidArgument."""
    match = _WATCH_NAME.fullmatch(name)
    if match is None:
        raise InvalidArgument("name must have the form tenants/{tenant}/watches/{activation}", field="name")
    return names.tenant_of(match[1], field="name"), int(match[2])
