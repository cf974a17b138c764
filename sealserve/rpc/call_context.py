"""What is known of the call that runs: who calls, its name in traces, and how long it may take."""

import uuid
from contextvars import ContextVar
from dataclasses import dataclass

from sealserve.errors import InvalidArgument
from sealserve.records.principals import Principal

MAX_REQUEST_ID_CHARACTERS = 128
REQUEST_ID_KEY = "x-request-id"
"""Metadata key: taken from the caller, and sent back in the trailing metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call. `deadline_seconds` counts from its start."""

    request_id: str
    deadline_seconds: float


CURRENT_CALL: ContextVar[Call] = ContextVar("sealserve_call")
"""Set by the interceptor in the task that serves the call."""

CURRENT_PRINCIPAL: ContextVar[Principal] = ContextVar("sealserve_principal")
"""Who calls. Set by `authorisation/access.py`, likewise."""


def actor() -> str:
    """Return what the audit trail calls the one who calls."""
    return CURRENT_PRINCIPAL.get().name


def new_request_id() -> str:
    """Return an id that no call had before."""
    return uuid.uuid4().hex


def checked_request_id(given: str) -> str:
    """Return the caller's request id, possibly empty. Raises: InvalidArgument."""
    if len(given) > MAX_REQUEST_ID_CHARACTERS or not given.isprintable():
        text = f"request_id must be at most {MAX_REQUEST_ID_CHARACTERS} printable characters"
        raise InvalidArgument(text, field="request_id")
    return given
