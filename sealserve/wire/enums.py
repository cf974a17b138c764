"""Enumerations between records and the wire, paired by name: `DocumentState.ADMITTED`, `DOCUMENT_STATE_ADMITTED`.

A test holds that every member has its counterpart.
"""

import re
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.descriptor import EnumDescriptor

E = TypeVar("E", bound=StrEnum)


def enum_to_wire(member: StrEnum | None, descriptor: EnumDescriptor) -> Any:
    """Return the number of `member`; None is the unspecified 0. Any, because each enum's numbers are a type."""
    return 0 if member is None else descriptor.values_by_name[f"{_prefix(descriptor)}_{member.name}"].number


def enum_from_wire(number: int, kind: type[E], *, descriptor: EnumDescriptor) -> E | None:
    """Return the member of that number; None for 0 and for numbers of a newer server."""
    value = descriptor.values_by_number.get(number)
    name = value.name.removeprefix(f"{_prefix(descriptor)}_") if value else ""
    return kind.__members__.get(name)


def _prefix(descriptor: EnumDescriptor) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", descriptor.name).upper()
