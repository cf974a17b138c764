"""The HTTP status of each error class."""

from sealserve import errors

_STATUSES: tuple[tuple[type[errors.SealserveError], int], ...] = (
    (errors.InvalidArgument, 400),
    (errors.NotFound, 404),
    (errors.AlreadyExists, 409),
    (errors.Conflict, 409),
    (errors.FailedPrecondition, 409),
    (errors.Unauthenticated, 401),
    (errors.PermissionDenied, 403),
    (errors.QuotaExceeded, 429),
    (errors.CallerError, 400),
    (errors.Unavailable, 503),
    (errors.DeadlineExceeded, 504),
    (errors.StorageFailed, 503),
    (errors.SealserveError, 500),
)
"""First match wins."""


def status_of(error: errors.SealserveError) -> int:
    """Return the HTTP status for `error`."""
    if error.reason == "TOO_LARGE":
        return 413
    return next(status for cls, status in _STATUSES if isinstance(error, cls))


def is_passing(error: errors.SealserveError) -> bool:
    """Whether the same request may succeed later: the server or its storage is unavailable or busy."""
    return status_of(error) in (503, 504)
