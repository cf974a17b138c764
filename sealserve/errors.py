"""One tree of errors with three roots: the caller's fault, our fault, and "could not measure".

`wire/statuses.py` turns each class into a gRPC status code. `message` is safe to show to
a client; it says what is wrong and what to do next. What must stay inside goes into the exception's cause.
"""


class SealserveError(Exception):
    """Root of every error this package raises on purpose. `reason` is a stable UPPER_SNAKE word for machines."""

    reason = "INTERNAL"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if reason is not None:
            self.reason = reason


class CallerError(SealserveError):
    """The caller's fault: the same call will fail again until it is changed."""

    reason = "INVALID"


class InvalidArgument(CallerError):
    """A value is malformed, out of range or too large. `field` names it in the wire's spelling."""

    reason = "INVALID_ARGUMENT"

    def __init__(self, message: str, *, field: str, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.field = field


class NotFound(CallerError):
    """No such thing, or not yours: both read the same, so that nobody can probe. `resource` is its name."""

    reason = "NOT_FOUND"

    def __init__(self, resource: str, *, kind: str) -> None:
        super().__init__(f"{kind} {resource!r} does not exist")
        self.resource = resource
        self.kind = kind


class AlreadyExists(CallerError):
    """A thing of that name is there already, with other contents."""

    reason = "ALREADY_EXISTS"

    def __init__(self, resource: str, *, kind: str) -> None:
        super().__init__(f"{kind} {resource!r} exists already")
        self.resource = resource
        self.kind = kind


class FailedPrecondition(CallerError):
    """The thing exists but is not in a state that allows this: the message says which state would."""

    reason = "FAILED_PRECONDITION"


class Conflict(CallerError):
    """Somebody changed it first (etag clash, lost compare-and-set): read again, then retry."""

    reason = "ETAG_MISMATCH"


class Unauthenticated(CallerError):
    """No credentials, or bad ones."""

    reason = "UNAUTHENTICATED"


class PermissionDenied(CallerError):
    """Known caller, not allowed."""

    reason = "PERMISSION_DENIED"


class QuotaExceeded(CallerError):
    """A caller's own limit is reached. `retry_seconds` says when a retry may succeed, `subject` whose limit it is."""

    reason = "QUOTA_EXCEEDED"

    def __init__(self, message: str, *, retry_seconds: float, subject: str = "tenant") -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds
        self.subject = subject


class BadAdapter(CallerError):
    """Adapter files that must not be loaded. `defect` is a stable lower_snake word (`not_finite`, `wrong_base` …)."""

    reason = "BAD_ADAPTER"

    def __init__(self, message: str, *, defect: str) -> None:
        super().__init__(message)
        self.defect = defect


class BadConfig(CallerError):
    """A settings file, policy or environment value that cannot be used; the message names file and key."""

    reason = "BAD_CONFIG"


class OurError(SealserveError):
    """Our fault, or the machine's: the same call may succeed later."""


class Unavailable(OurError):
    """Not now: engine starting or rebuilding, queue full, shutting down. `retry_seconds` is a hint."""

    reason = "UNAVAILABLE"

    def __init__(self, message: str, *, retry_seconds: float = 1.0, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_seconds = retry_seconds


class UnknownSigner(Unavailable):
    """Signed by a key that is not trusted here. It cannot be verified, which says nothing against it: add the key."""

    reason = "UNKNOWN_SIGNER"


class UnfitSettings(Unavailable):
    """Nothing is wrong with an adapter but that this process runs another base model or a smaller rank."""

    reason = "UNFIT_SETTINGS"


class EngineFailed(OurError):
    """The engine failed on this request and lives on."""

    reason = "ENGINE_FAILED"


class DeadlineExceeded(OurError):
    """The caller's deadline passed before the answer was complete."""

    reason = "DEADLINE_EXCEEDED"


class StorageFailed(OurError):
    """Disk or database refused a write (full, locked, gone). Nothing half-written is ever read."""

    reason = "STORAGE_FAILED"


class CorruptArtifact(OurError):
    """Stored bytes do not match their digest. They are never loaded."""

    reason = "CORRUPT_ARTIFACT"


class LeaseLost(OurError):
    """A newer fencing token exists: this worker's result is refused and nothing was changed."""

    reason = "LEASE_LOST"


class TrainingFailed(OurError):
    """The training child died, ran out of memory or gave something that is not an adapter."""

    reason = "TRAINING_FAILED"


class CouldNotMeasure(SealserveError):
    """A score could not be taken. It is not zero and not a pass: the verdict is INCONCLUSIVE."""

    reason = "COULD_NOT_MEASURE"
