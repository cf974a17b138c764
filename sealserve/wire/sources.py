"""Sources and their items."""

import re

from sealserve.errors import InvalidArgument
from sealserve.records.sources import ItemState, NewSource, Source, SourceItem, SourceKind, SyncCounts
from sealserve.v1 import source_pb2
from sealserve.wire import names
from sealserve.wire.enums import enum_from_wire, enum_to_wire
from sealserve.wire.values import time_from_wire, time_to_wire

DEFAULT_INTERVAL_SECONDS = 3600.0

_KIND = source_pb2.DESCRIPTOR.enum_types_by_name["SourceKind"]
_STATE = source_pb2.DESCRIPTOR.enum_types_by_name["ItemState"]
_SOURCE_NAME = re.compile(r"tenants/([a-z][a-z0-9-]{0,62})/sources/([a-z][a-z0-9-]{0,39})", re.ASCII)


def source_name(tenant: str, name: str) -> str:
    """Return `tenants/{tenant}/sources/{source}`."""
    return f"tenants/{tenant}/sources/{name}"


def source_of(name: str, *, field: str = "name") -> tuple[str, str]:
    """Return (tenant, source). Raises: InvalidArgument."""
    match = _SOURCE_NAME.fullmatch(name)
    if match is None:
        raise InvalidArgument(f"{field} must have the form tenants/{{tenant}}/sources/{{source}}", field=field)
    return match[1], match[2]


def config_to_wire(source: Source | NewSource) -> source_pb2.SourceConfig:
    """Return what somebody said about the source."""
    return source_pb2.SourceConfig(
        kind=enum_to_wire(source.kind, _KIND),
        location=source.location,
        mirror=source.mirror,
        interval_seconds=source.interval_seconds,
        secret_variable=source.secret_variable,
        include=source.include,
        branch=source.branch,
        linked_pages=source.linked_pages,
    )


def new_source_from_wire(wire: source_pb2.SourceConfig, *, name: str) -> NewSource:
    """Return a new source of that name. Raises: InvalidArgument (kind)."""
    kind = enum_from_wire(wire.kind, SourceKind, descriptor=_KIND)
    if kind is None:
        raise InvalidArgument(f"config.kind must be set to one of {', '.join(SourceKind)}", field="config.kind")
    return NewSource(
        name=name,
        kind=kind,
        location=wire.location,
        mirror=wire.mirror,
        interval_seconds=wire.interval_seconds or DEFAULT_INTERVAL_SECONDS,
        secret_variable=wire.secret_variable,
        include=tuple(wire.include),
        branch=wire.branch,
        linked_pages=wire.linked_pages,
    )


def source_to_wire(source: Source) -> source_pb2.Source:
    """Return the whole of `source`, without what only its syncs need."""
    counts = source.counts
    return source_pb2.Source(
        name=source_name(source.tenant, source.name),
        config=config_to_wire(source),
        created_by=source.created_by,
        create_time=time_to_wire(source.created_at),
        next_sync_time=time_to_wire(source.next_sync_at) if source.next_sync_at else None,
        start_time=time_to_wire(source.started_at) if source.started_at else None,
        finish_time=time_to_wire(source.finished_at) if source.finished_at else None,
        failure_count=source.failures,
        error=source.error,
        alarm=source.alarm,
        counts=source_pb2.SyncCounts(
            listed=counts.listed,
            received=counts.received,
            unchanged=counts.unchanged,
            refused=counts.refused,
            failed=counts.failed,
            gone=counts.gone,
            forgotten=counts.forgotten,
        ),
    )


def source_from_wire(wire: source_pb2.Source) -> Source:
    """Return the whole of `wire`. A kind this client does not know reads as a webhook."""
    tenant, name = source_of(wire.name)
    config = wire.config
    return Source(
        tenant=tenant,
        name=name,
        kind=enum_from_wire(config.kind, SourceKind, descriptor=_KIND) or SourceKind.WEBHOOK,
        location=config.location,
        mirror=config.mirror,
        interval_seconds=config.interval_seconds,
        secret_variable=config.secret_variable,
        include=tuple(config.include),
        branch=config.branch,
        linked_pages=config.linked_pages,
        created_by=wire.created_by,
        created_at=time_from_wire(wire.create_time),
        next_sync_at=time_from_wire(wire.next_sync_time) if wire.HasField("next_sync_time") else None,
        started_at=time_from_wire(wire.start_time) if wire.HasField("start_time") else None,
        finished_at=time_from_wire(wire.finish_time) if wire.HasField("finish_time") else None,
        failures=wire.failure_count,
        error=wire.error,
        alarm=wire.alarm,
        counts=SyncCounts(
            listed=wire.counts.listed,
            received=wire.counts.received,
            unchanged=wire.counts.unchanged,
            refused=wire.counts.refused,
            failed=wire.counts.failed,
            gone=wire.counts.gone,
            forgotten=wire.counts.forgotten,
        ),
    )


def item_to_wire(item: SourceItem) -> source_pb2.SourceItem:
    """Return what is shown of an item."""
    return source_pb2.SourceItem(
        key=item.key,
        state=enum_to_wire(item.state, _STATE),
        reason=item.reason,
        document=names.document_name(item.tenant, item.document) if item.document else "",
        size_bytes=item.size_bytes,
        attempt_count=item.attempts,
        check_time=time_to_wire(item.checked_at) if item.checked_at else None,
    )


def item_from_wire(wire: source_pb2.SourceItem, *, tenant: str, source: str) -> SourceItem:
    """Return what is shown of an item. A state this client does not know reads as failed."""
    return SourceItem(
        tenant=tenant,
        source=source,
        key=wire.key,
        state=enum_from_wire(wire.state, ItemState, descriptor=_STATE) or ItemState.FAILED,
        reason=wire.reason,
        document=names.last_part(wire.document),
        size_bytes=wire.size_bytes,
        attempts=wire.attempt_count,
        checked_at=time_from_wire(wire.check_time) if wire.HasField("check_time") else None,
    )


def item_state_to_wire(state: ItemState | None) -> source_pb2.ItemState.ValueType:
    """None is "any"."""
    number: source_pb2.ItemState.ValueType = enum_to_wire(state, _STATE)
    return number


def item_state_from_wire(number: source_pb2.ItemState.ValueType) -> ItemState | None:
    """None is "any"."""
    return enum_from_wire(number, ItemState, descriptor=_STATE)
