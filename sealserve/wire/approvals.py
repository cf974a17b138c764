"""Held versions and opinions."""

from sealserve.records.approvals import Approval, ApprovalState, Vote
from sealserve.v1 import approval_pb2
from sealserve.wire import names
from sealserve.wire.enums import enum_from_wire, enum_to_wire
from sealserve.wire.values import time_from_wire, time_to_wire

_STATE = approval_pb2.DESCRIPTOR.enum_types_by_name["ApprovalState"]


def approval_to_wire(approval: Approval) -> approval_pb2.Approval:
    """Return the whole of `approval`."""
    return approval_pb2.Approval(
        name=names.adapter_name(approval.tenant, approval.version),
        cycle=names.cycle_name(approval.tenant, approval.cycle),
        state=enum_to_wire(approval.state, _STATE),
        reason=approval.reason,
        authors=approval.authors,
        opinions=[
            approval_pb2.Opinion(
                actor=one.actor, approves=one.approves, reason=one.reason, create_time=time_to_wire(one.given_at)
            )
            for one in approval.opinions
        ],
        create_time=time_to_wire(approval.held_at),
    )


def approval_from_wire(wire: approval_pb2.Approval) -> Approval:
    """Return the whole of `wire`. A state this client does not know reads as late: nothing to approve."""
    tenant, version = names.adapter_of(wire.name)
    return Approval(
        tenant=tenant,
        version=version,
        cycle=names.last_part(wire.cycle),
        state=enum_from_wire(wire.state, ApprovalState, descriptor=_STATE) or ApprovalState.LATE,
        reason=wire.reason,
        authors=tuple(wire.authors),
        opinions=tuple(
            Vote(actor=one.actor, approves=one.approves, reason=one.reason, given_at=time_from_wire(one.create_time))
            for one in wire.opinions
        ),
        held_at=time_from_wire(wire.create_time),
    )


def state_to_wire(state: ApprovalState | None) -> approval_pb2.ApprovalState.ValueType:
    """Return the number of `state`; None: any."""
    return enum_to_wire(state, _STATE)  # type: ignore[no-any-return]


def state_from_wire(number: int) -> ApprovalState | None:
    """Return the state of that number; None: any, or not known here."""
    return enum_from_wire(number, ApprovalState, descriptor=_STATE)
