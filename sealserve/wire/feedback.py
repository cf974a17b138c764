"""Feedback and evaluation sets."""

import re

from sealserve.errors import InvalidArgument
from sealserve.grading.answers import BY_TEXT, Matcher
from sealserve.grading.patterns import pattern_fault
from sealserve.records.feedback import Feedback, Opinion, Thumb, VersionFeedback
from sealserve.records.question_sets import EvaluationItem, EvaluationSet
from sealserve.v1 import evaluation_pb2, feedback_pb2
from sealserve.wire import names
from sealserve.wire.enums import enum_from_wire, enum_to_wire
from sealserve.wire.values import time_from_wire, time_to_wire

_THUMB = feedback_pb2.DESCRIPTOR.enum_types_by_name["Thumb"]
_MATCHER = evaluation_pb2.DESCRIPTOR.enum_types_by_name["Matcher"]
_SET_NAME = re.compile(r"tenants/([a-z][a-z0-9-]{0,62})/evaluationSets/([a-z][a-z0-9-]{0,62})", re.ASCII)


def opinion_to_wire(tenant: str, opinion: Opinion) -> feedback_pb2.Feedback:
    """Return what is said, as it is sent."""
    return feedback_pb2.Feedback(
        answer_request_id=opinion.answer_request,
        adapter=names.adapter_name(tenant, opinion.version),
        thumb=enum_to_wire(opinion.thumb, _THUMB),
        question=opinion.question,
        answer=opinion.answer,
        correction=opinion.correction,
    )


def opinion_from_wire(wire: feedback_pb2.Feedback, *, tenant: str) -> Opinion:
    """Return what is said. Raises: InvalidArgument (no thumb, the version of another tenant)."""
    thumb = enum_from_wire(wire.thumb, Thumb, descriptor=_THUMB)
    if thumb is None:
        raise InvalidArgument("thumb must be up or down", field="feedback.thumb")
    owner, version = names.adapter_of(wire.adapter, field="feedback.adapter")
    if owner != tenant:
        raise InvalidArgument("the adapter must be one of the parent's", field="feedback.adapter")
    return Opinion(
        answer_request=wire.answer_request_id,
        version=version,
        thumb=thumb,
        question=wire.question,
        answer=wire.answer,
        correction=wire.correction,
    )


def feedback_to_wire(kept: Feedback) -> feedback_pb2.Feedback:
    """Return the whole of `kept`."""
    wire = opinion_to_wire(kept.tenant, kept.opinion)
    wire.name = f"tenants/{kept.tenant}/feedback/{kept.feedback}"
    wire.actor = kept.actor
    wire.create_time.CopyFrom(time_to_wire(kept.created_at))
    return wire


def feedback_from_wire(wire: feedback_pb2.Feedback) -> Feedback:
    """Return the whole of `wire`."""
    tenant = wire.name.split("/")[1]
    return Feedback(
        tenant=tenant,
        feedback=names.last_part(wire.name),
        opinion=opinion_from_wire(wire, tenant=tenant),
        actor=wire.actor,
        created_at=time_from_wire(wire.create_time),
    )


def version_feedback_to_wire(tenant: str, one: VersionFeedback) -> feedback_pb2.VersionFeedback:
    """Return the whole of `one`."""
    return feedback_pb2.VersionFeedback(adapter=names.adapter_name(tenant, one.version), up=one.up, down=one.down)


def version_feedback_from_wire(wire: feedback_pb2.VersionFeedback) -> VersionFeedback:
    """Return the whole of `wire`."""
    return VersionFeedback(version=names.adapter_of(wire.adapter)[1], up=wire.up, down=wire.down)


def item_to_wire(item: EvaluationItem) -> evaluation_pb2.EvaluationItem:
    """Return the whole of `item`."""
    return evaluation_pb2.EvaluationItem(
        question=item.question,
        answer=item.answer,
        matcher=enum_to_wire(Matcher(item.matcher), _MATCHER),
        pattern=item.pattern,
    )


def item_from_wire(wire: evaluation_pb2.EvaluationItem) -> EvaluationItem:
    """Return the whole of `wire`; contains where no rule is set. Raises: InvalidArgument (matcher, pattern)."""
    matcher = enum_from_wire(wire.matcher, Matcher, descriptor=_MATCHER)
    if wire.matcher and matcher not in BY_TEXT:
        raise InvalidArgument(
            f"matcher {wire.matcher} is not one of {', '.join(sorted(BY_TEXT))}", field="items.matcher"
        )
    fault = pattern_fault(wire.pattern) if matcher is Matcher.REGEX else wire.pattern and "only regex takes a pattern"
    if fault:
        raise InvalidArgument(f"the pattern {wire.pattern[:40]!r}: {fault}", field="items.pattern")
    chosen = (matcher or Matcher.CONTAINS).value
    return EvaluationItem(question=wire.question, answer=wire.answer, matcher=chosen, pattern=wire.pattern)


def set_to_wire(one: EvaluationSet) -> evaluation_pb2.EvaluationSet:
    """Return the whole of `one`."""
    return evaluation_pb2.EvaluationSet(
        name=set_name(one.tenant, one.name),
        revision=one.revision,
        items=map(item_to_wire, one.items),
        item_count=one.item_count,
        digest=one.digest,
        actor=one.actor,
        create_time=time_to_wire(one.created_at),
    )


def set_from_wire(wire: evaluation_pb2.EvaluationSet) -> EvaluationSet:
    """Return the whole of `wire`; from a listing it has no items."""
    tenant, name = set_of(wire.name)
    return EvaluationSet(
        tenant=tenant,
        name=name,
        revision=wire.revision,
        items=tuple(map(item_from_wire, wire.items)),
        item_count=wire.item_count,
        digest=wire.digest,
        actor=wire.actor,
        created_at=time_from_wire(wire.create_time),
    )


def set_name(tenant: str, name: str) -> str:
    """Return `tenants/{tenant}/evaluationSets/{set}`."""
    return f"tenants/{tenant}/evaluationSets/{name}"


def set_of(name: str) -> tuple[str, str]:
    """Return (tenant, set). Raises: InvalidArgument."""
    match = _SET_NAME.fullmatch(name)
    if match is None:
        raise InvalidArgument("name must have the form tenants/{tenant}/evaluationSets/{set}", field="name")
    return match[1], match[2]
