"""Adapter versions, activations, and what replicas observe.

On the wire an adapter has its lineage's fields as its own.
"""

from sealserve.records.reports import AdapterReport
from sealserve.records.score_json import scorecard_from_json, scorecard_json, verdict_from_json, verdict_json
from sealserve.records.tenants import Tenant
from sealserve.records.versions import BASE_VERSION, Activation, AdapterVersion, Lineage, Observed, VersionState
from sealserve.v1 import adapter_pb2
from sealserve.wire import names
from sealserve.wire.enums import enum_from_wire, enum_to_wire
from sealserve.wire.scores import scorecard_from_wire, scorecard_to_wire, verdict_from_wire, verdict_to_wire
from sealserve.wire.values import time_from_wire, time_to_wire, tree_from_wire, tree_to_wire

_STATE = adapter_pb2.DESCRIPTOR.enum_types_by_name["AdapterState"]
_KIND = {
    "promote": adapter_pb2.ACTIVATION_KIND_PROMOTE,
    "rollback": adapter_pb2.ACTIVATION_KIND_ROLLBACK,
    "traffic": adapter_pb2.ACTIVATION_KIND_TRAFFIC,
}
_KIND_NAMES = {number: name for name, number in _KIND.items()}
_KIND |= {"suspend": adapter_pb2.ACTIVATION_KIND_ROLLBACK, "resume": adapter_pb2.ACTIVATION_KIND_PROMOTE}


def adapter_to_wire(version: AdapterVersion, *, active: bool, remark: str = "") -> adapter_pb2.Adapter:
    """Return the whole of `version`. Fields that its lineage does not have stay unset.

    `remark` stands for the reason of a version that has none: why it cannot be loaded at present.
    """
    tenant, lineage = version.tenant, version.lineage
    return adapter_pb2.Adapter(
        name=names.adapter_name(tenant, version.version),
        version=version.version,
        artifact_digest=version.artifact,
        engine_name=version.engine_name,
        state=enum_to_wire(version.state, _STATE),
        state_reason=version.reason or remark,
        active=active,
        cycle=names.cycle_name(tenant, version.cycle) if version.cycle else "",
        parent_adapter=names.adapter_name(tenant, version.parent),
        documents=[names.document_name(tenant, document) for document in version.documents],
        recipe=tree_to_wire(lineage.recipe or {}),
        self_edits=[names.self_edit_name(tenant, version.cycle, self_edit=e) for e in lineage.self_edits or ()],
        scores=scorecard_to_wire(scorecard_from_json(lineage.scores)) if lineage.scores else None,
        verdict=verdict_to_wire(verdict_from_json(lineage.verdict)) if lineage.verdict else None,
        base_digest=lineage.base_digest or "",
        settings_digest=lineage.settings_digest or "",
        create_time=time_to_wire(version.created_at),
        loaded=version.is_loaded,
        stays_loaded=version.stays_loaded,
    )


def adapter_from_wire(wire: adapter_pb2.Adapter) -> AdapterVersion:
    """Return the whole of `wire` but `active`, which is the tenant's to say."""
    tenant, version = names.adapter_of(wire.name)
    return AdapterVersion(
        tenant=tenant,
        version=version,
        artifact=wire.artifact_digest,
        engine_name=wire.engine_name,
        state=enum_from_wire(wire.state, VersionState, descriptor=_STATE) or VersionState.QUARANTINED,
        reason=wire.state_reason,
        cycle=names.last_part(wire.cycle),
        parent=names.adapter_of(wire.parent_adapter)[1],
        documents=names.last_parts(wire.documents),
        lineage=_lineage(wire),
        created_at=time_from_wire(wire.create_time),
        is_loaded=wire.loaded,
        stays_loaded=wire.stays_loaded,
    )


def _lineage(wire: adapter_pb2.Adapter) -> Lineage:
    return Lineage(
        recipe=tree_from_wire(wire.recipe),
        self_edits=names.last_parts(wire.self_edits),
        scores=scorecard_json(scorecard_from_wire(wire.scores)) if wire.HasField("scores") else None,
        verdict=verdict_json(verdict_from_wire(wire.verdict)) if wire.HasField("verdict") else None,
        base_digest=wire.base_digest,
        settings_digest=wire.settings_digest,
    )


def base_adapter(tenant: Tenant, *, base_digest: str) -> AdapterVersion:
    """Return version 0 of a tenant: the base model, which no cycle made."""
    return AdapterVersion(
        tenant=tenant.tenant,
        version=BASE_VERSION,
        artifact="",
        engine_name="",
        state=VersionState.READY,
        reason="",
        cycle="",
        parent=BASE_VERSION,
        documents=(),
        lineage=Lineage(base_digest=base_digest),
        created_at=tenant.created_at,
    )


def activation_to_wire(activation: Activation) -> adapter_pb2.Activation:
    """Return the whole of `activation`."""
    tenant = activation.tenant
    return adapter_pb2.Activation(
        name=names.activation_name(tenant, activation.activation),
        activation=activation.activation,
        adapter=names.adapter_name(tenant, activation.version),
        previous_adapter=names.adapter_name(tenant, activation.previous),
        kind=_KIND.get(activation.kind, adapter_pb2.ACTIVATION_KIND_UNSPECIFIED),
        actor=activation.actor,
        reason=activation.reason,
        create_time=time_to_wire(activation.created_at),
    )


def activation_from_wire(wire: adapter_pb2.Activation) -> Activation:
    """Return the whole of `wire`."""
    tenant, version = names.adapter_of(wire.adapter)
    return Activation(
        tenant=tenant,
        activation=wire.activation,
        version=version,
        previous=names.adapter_of(wire.previous_adapter)[1],
        kind=_KIND_NAMES.get(wire.kind, ""),
        actor=wire.actor,
        reason=wire.reason,
        created_at=time_from_wire(wire.create_time),
    )


def report_to_wire(tenant: Tenant, observed: tuple[Observed, ...]) -> adapter_pb2.WatchAdaptersResponse:
    """Return what `tenant` should be answered with and what each replica answers with."""
    return adapter_pb2.WatchAdaptersResponse(
        desired_adapter=names.adapter_name(tenant.tenant, tenant.desired_version),
        activation=tenant.activation,
        etag=tenant.etag,
        observed=[
            adapter_pb2.ObservedAdapter(
                replica=one.replica,
                adapter=names.adapter_name(one.tenant, one.version),
                activation=one.activation,
                observe_time=time_to_wire(one.observed_at),
            )
            for one in observed
        ],
    )


def report_from_wire(wire: adapter_pb2.WatchAdaptersResponse) -> AdapterReport:
    """Return the whole of `wire`."""
    tenant, desired = names.adapter_of(wire.desired_adapter)
    return AdapterReport(
        tenant=tenant,
        desired=desired,
        activation=wire.activation,
        etag=wire.etag,
        observed=tuple(
            Observed(
                replica=one.replica,
                tenant=tenant,
                version=names.adapter_of(one.adapter)[1],
                activation=one.activation,
                observed_at=time_from_wire(one.observe_time),
            )
            for one in wire.observed
        ),
    )
