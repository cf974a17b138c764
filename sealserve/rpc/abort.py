"""How a call ends that is not let through: status, details, and the request id where there is one."""

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from sealserve import errors
from sealserve.rpc.call_context import REQUEST_ID_KEY
from sealserve.wire.statuses import DETAILS_KEY, code_of, to_status

TRY_NO_MORE = (("grpc-retry-pushback-ms", "-1"),)
"""Has gRPC clients report the refusal instead of repeating the call: they repeat what a server could not answer
(https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback).
"""

OF_THIS_SERVER = frozenset({"ENGINE_DEAD", "ENGINE_REBUILDING", "ENGINE_STOPPED"})
"""Reasons why another server may answer the same call: gRPC clients repeat it."""


async def abort(context: Any, error: errors.SealserveError, *, request_id: str) -> NoReturn:
    """End the call with what its caller may know of `error`."""
    status = to_status(error, request_id=request_id)
    pushback = () if error.reason in OF_THIS_SERVER else TRY_NO_MORE
    details = ((DETAILS_KEY, status.SerializeToString()), *trailing(request_id), *pushback)
    await context.abort(code_of(error), status.message, details)
    raise AssertionError("abort always raises")


def trailing(request_id: str) -> tuple[tuple[str, str], ...]:
    """Metadata is ASCII (gRPC over HTTP/2): an id that is not stays in the details only."""
    return ((REQUEST_ID_KEY, request_id),) if request_id.isascii() and request_id else ()


def refuse(error: errors.SealserveError) -> Callable[[Any, Any], Awaitable[None]]:
    """Return a handler that ends any call with `error` and reads nothing of it."""

    async def call(_requests: Any, context: Any) -> None:
        await abort(context, error, request_id="")

    return call
