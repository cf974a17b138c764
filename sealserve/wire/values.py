"""Datetimes, trees and page sizes, between Python and the wire."""

from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from sealserve.canonical import Json

MAX_ECHO_BYTES = 4 * 2**20 - 2**16
"""What is safely below gRPC's default limit for a message that a client receives, 4 MiB."""

M = TypeVar("M", bound=Message)


def time_to_wire(time: datetime) -> Timestamp:
    """`time` is aware."""
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def time_from_wire(stamp: Timestamp) -> datetime:
    """Return an aware UTC datetime, to the microsecond."""
    return stamp.ToDatetime(tzinfo=UTC)


def tree_to_wire(tree: Json) -> Struct:
    """`tree` holds JSON values only; its numbers become doubles."""
    struct = Struct()
    struct.update(tree)
    return struct


def tree_from_wire(struct: Struct) -> Json:
    """Whole numbers come back as int: the wire has one number type. Keys come sorted: it keeps them in no order."""
    tree: Json = MessageToDict(struct)
    return {key: _whole(tree[key]) for key in sorted(tree)}


def without_long_items(message: M) -> M:
    """Return `message`, its items left out if a client that sets no limit of its own could not receive it with them."""
    if message.ByteSize() > MAX_ECHO_BYTES:
        message.ClearField("items")
    return message


def _whole(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole(value[key]) for key in sorted(value)}
    return value
