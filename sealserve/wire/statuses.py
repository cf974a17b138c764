"""Errors as gRPC statuses and back: the one table that both ends of the wire read.

Every status carries google.rpc details: ErrorInfo always (domain "sealserve"), and
what its code calls for. Nothing but `message` and the fields meant for callers leaves the process.
"""

from collections.abc import Iterable, Iterator
from typing import Any, cast

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import (
    BadRequest,
    ErrorInfo,
    PreconditionFailure,
    QuotaFailure,
    RequestInfo,
    ResourceInfo,
    RetryInfo,
)
from google.rpc.status_pb2 import Status

from sealserve import errors

DOMAIN = "sealserve"
DETAILS_KEY = "grpc-status-details-bin"
"""Trailing metadata key of a serialised google.rpc.Status (gRPC's richer error model)."""

WATCH_AGAIN = "WATCH_AGAIN"
"""Reason of the end of a watch that goes on over another connection."""

STORAGE_RETRY_SECONDS = 1.0
STORAGE_MESSAGE = (
    "storage refused this (full, locked or unreachable) and nothing was changed: try again; the server's log says why"
)
MAX_MESSAGE_CHARACTERS = 400

Code = grpc.StatusCode

CODES: tuple[tuple[type[errors.SealserveError], grpc.StatusCode], ...] = (
    (errors.InvalidArgument, Code.INVALID_ARGUMENT),
    (errors.NotFound, Code.NOT_FOUND),
    (errors.AlreadyExists, Code.ALREADY_EXISTS),
    (errors.FailedPrecondition, Code.FAILED_PRECONDITION),
    (errors.BadAdapter, Code.FAILED_PRECONDITION),
    (errors.BadConfig, Code.FAILED_PRECONDITION),
    (errors.Conflict, Code.ABORTED),
    (errors.Unauthenticated, Code.UNAUTHENTICATED),
    (errors.PermissionDenied, Code.PERMISSION_DENIED),
    (errors.QuotaExceeded, Code.RESOURCE_EXHAUSTED),
    (errors.CallerError, Code.FAILED_PRECONDITION),
    (errors.Unavailable, Code.UNAVAILABLE),
    (errors.StorageFailed, Code.UNAVAILABLE),
    (errors.DeadlineExceeded, Code.DEADLINE_EXCEEDED),
    (errors.CorruptArtifact, Code.DATA_LOSS),
    (errors.LeaseLost, Code.ABORTED),
    (errors.SealserveError, Code.INTERNAL),
)
"""First match wins."""

_BY_REASON: dict[str, type[errors.SealserveError]] = {
    cls.reason: cls
    for cls in (
        errors.Conflict,
        errors.LeaseLost,
        errors.StorageFailed,
        errors.EngineFailed,
        errors.TrainingFailed,
        errors.CouldNotMeasure,
        errors.BadConfig,
    )
}
_BY_CODE: dict[grpc.StatusCode, type[errors.SealserveError]] = {
    Code.ABORTED: errors.Conflict,
    Code.UNAUTHENTICATED: errors.Unauthenticated,
    Code.PERMISSION_DENIED: errors.PermissionDenied,
    Code.FAILED_PRECONDITION: errors.FailedPrecondition,
    Code.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    Code.DATA_LOSS: errors.CorruptArtifact,
}


def code_of(error: errors.SealserveError) -> grpc.StatusCode:
    """Return the status code that `error` is sent as."""
    return next(code for cls, code in CODES if isinstance(error, cls))


def to_status(error: errors.SealserveError, *, request_id: str) -> Status:
    """Return the status that tells a caller about `error`."""
    message = shown_message(error)
    status = Status(code=code_of(error).value[0], message=message)
    for detail in _details(error, message, request_id=request_id):
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def shown_message(error: errors.SealserveError) -> str:
    """Where storage lies is the operator's to know; and metadata has little room (gRPC: 8 KiB in all)."""
    return STORAGE_MESSAGE if isinstance(error, errors.StorageFailed) else error.message[:MAX_MESSAGE_CHARACTERS]


def _details(error: errors.SealserveError, message: str, *, request_id: str) -> Iterator[Message]:
    metadata = {"defect": error.defect} if isinstance(error, errors.BadAdapter) else {}
    yield ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    if isinstance(error, errors.InvalidArgument):
        violation = BadRequest.FieldViolation(field=error.field, description=message, reason=error.reason)
        yield BadRequest(field_violations=[violation])
    if isinstance(error, errors.NotFound | errors.AlreadyExists):
        yield ResourceInfo(resource_type=error.kind, resource_name=error.resource, description=message)
    if code_of(error) is Code.FAILED_PRECONDITION:
        subject = getattr(error, "defect", "")
        breach = PreconditionFailure.Violation(type=error.reason, subject=subject, description=message)
        yield PreconditionFailure(violations=[breach])
    if isinstance(error, errors.QuotaExceeded):
        yield QuotaFailure(violations=[QuotaFailure.Violation(subject=error.subject, description=message)])
    if isinstance(error, errors.QuotaExceeded | errors.Unavailable):
        yield _retry(error.retry_seconds)
    if isinstance(error, errors.StorageFailed):
        yield _retry(STORAGE_RETRY_SECONDS)
    if request_id:
        yield RequestInfo(request_id=request_id)


def _retry(seconds: float) -> RetryInfo:
    delay = Duration()
    delay.FromNanoseconds(int(seconds * 1e9))
    return RetryInfo(retry_delay=delay)


def from_status(status: Status) -> errors.SealserveError:
    """Return the error that `to_status` made `status` from, as near as the wire tells."""
    details = _Details(status)
    code = next(code for code in Code if code.value[0] == status.code)
    message, reason = status.message, details.info.reason or None
    if code is Code.INVALID_ARGUMENT:
        return errors.InvalidArgument(message, field=details.field, reason=reason)
    if code in (Code.NOT_FOUND, Code.ALREADY_EXISTS):
        cls = errors.NotFound if code is Code.NOT_FOUND else errors.AlreadyExists
        return _with_message(cls(details.resource.resource_name, kind=details.resource.resource_type), message)
    if code is Code.RESOURCE_EXHAUSTED:
        return _exhausted(message, details)
    if reason == errors.BadAdapter.reason:
        return errors.BadAdapter(message, defect=details.info.metadata["defect"])
    if code is Code.UNAVAILABLE and reason != errors.StorageFailed.reason:
        return errors.Unavailable(message, retry_seconds=details.retry_seconds, reason=reason)
    plain = _BY_REASON.get(reason or "") or _BY_CODE.get(code, errors.OurError)
    return plain(message, reason=reason)


def _exhausted(message: str, details: "_Details") -> errors.SealserveError:
    """gRPC itself uses this code, without details, for messages too large and for too many calls at once."""
    if details.info.reason:
        return errors.QuotaExceeded(message, retry_seconds=details.retry_seconds)
    if "larger than max" in message:
        return errors.InvalidArgument(f"the message is too large: {message}", field="", reason="TOO_LARGE")
    return errors.Unavailable(f"the server has too many calls at once: {message}", reason="OVERLOADED")


def _with_message(error: errors.SealserveError, message: str) -> errors.SealserveError:
    error.message = message
    error.args = (message,)
    return error


class _Details:
    """The details of one status, unpacked; empty ones where the server sent none."""

    def __init__(self, status: Status) -> None:
        self.info, self.resource = ErrorInfo(), ResourceInfo()
        bad, retry = BadRequest(), RetryInfo()
        for packed in status.details:
            for detail in (self.info, self.resource, bad, retry):
                packed.Unpack(detail)
        self.field = bad.field_violations[0].field if bad.field_violations else ""
        self.retry_seconds = retry.retry_delay.ToNanoseconds() / 1e9


def from_rpc_error(error: grpc.RpcError, *, address: str) -> errors.SealserveError:
    """Return the error behind a failed call to `address`: ours, or gRPC's own (cannot connect, cancelled)."""
    trailing = dict(cast(Iterable[tuple[str, Any]], error.trailing_metadata() or ()))
    if DETAILS_KEY in trailing:
        return from_status(Status.FromString(trailing[DETAILS_KEY]))
    code = error.code()
    text = error.details() or ""
    if code is Code.UNAVAILABLE:
        return errors.Unavailable(f"cannot reach sealserve at {address} ({text}); is `sealserve serve` running?")
    if code is Code.DEADLINE_EXCEEDED:
        return errors.DeadlineExceeded(f"sealserve at {address} did not answer in time; allow it a longer timeout")
    if code is Code.UNIMPLEMENTED:
        return errors.FailedPrecondition(f"the server at {address} does not know this call: {text}")
    return from_status(Status(code=code.value[0], message=f"{text or code.name} (from {address})"))
