"""How a cycle's candidates were ranked."""

from typing import Any

from google.protobuf.message import Message

from sealserve.records.reports import Ranking
from sealserve.v1 import cycle_pb2

_OPTIONAL = ("item_error", "between_candidates", "between_seeds", "over_items", "over_seeds")


def ranking_to_wire(ranking: Ranking) -> cycle_pb2.Ranking:
    """Return the whole of `ranking`."""
    return cycle_pb2.Ranking(
        reward=ranking.reward,
        note=ranking.note,
        stands_out=ranking.stands_out,
        items=ranking.items,
        seeds=ranking.seeds,
        **{name: getattr(ranking, name) for name in _OPTIONAL},
    )


def ranking_from_wire(wire: cycle_pb2.Ranking) -> Ranking:
    """Return the whole of `wire`."""
    message: Message = wire  # its own HasField takes no name that is not written out
    known: dict[str, Any] = {name: getattr(wire, name) if message.HasField(name) else None for name in _OPTIONAL}
    return Ranking(
        reward=wire.reward,
        note=wire.note,
        stands_out=wire.stands_out,
        items=wire.items,
        seeds=wire.seeds,
        **known,
    )
