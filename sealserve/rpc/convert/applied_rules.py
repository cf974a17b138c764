"""Written rules that spoke on what a cycle made."""

from sealserve.records.policy_decisions import RuleEffect
from sealserve.records.reports import AppliedRule
from sealserve.rpc.convert.enums import enum_from_wire, enum_to_wire
from sealserve.v1 import cycle_pb2

_EFFECT = cycle_pb2.DESCRIPTOR.enum_types_by_name["RuleEffect"]


def rule_to_wire(one: AppliedRule) -> cycle_pb2.AppliedRule:
    """Return the whole of `one`."""
    return cycle_pb2.AppliedRule(
        rule=one.rule,
        effect=enum_to_wire(one.effect, _EFFECT),
        reason=one.reason,
        event=one.event,
        bundle=one.bundle,
        decision=one.decision,
    )


def rule_from_wire(wire: cycle_pb2.AppliedRule) -> AppliedRule:
    """Return the whole of `wire`. An effect this client does not know reads as one that denies."""
    return AppliedRule(
        rule=wire.rule,
        effect=enum_from_wire(wire.effect, RuleEffect, descriptor=_EFFECT) or RuleEffect.DENY,
        reason=wire.reason,
        event=wire.event,
        bundle=wire.bundle,
        decision=wire.decision,
    )
