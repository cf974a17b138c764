"""Answers side by side."""

from sealserve.records.reports import AnswerPair
from sealserve.rpc.convert import names
from sealserve.v1 import cycle_pb2


def answer_to_wire(pair: AnswerPair, tenant: str) -> cycle_pb2.AnswerPair:
    """Return the whole of `pair`, of `tenant`'s document."""
    return cycle_pb2.AnswerPair(
        document=names.document_name(tenant, pair.document) if pair.document else "",
        question=pair.question,
        expected=pair.expected,
        before=pair.before,
        after=pair.after,
        was_right=pair.was_right,
        is_right=pair.is_right,
    )


def answer_from_wire(wire: cycle_pb2.AnswerPair) -> AnswerPair:
    """Return the whole of `wire`."""
    return AnswerPair(
        document=names.last_part(wire.document),
        question=wire.question,
        expected=wire.expected,
        before=wire.before,
        after=wire.after,
        was_right=wire.was_right,
        is_right=wire.is_right,
    )
