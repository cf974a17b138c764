"""Surrounds every HTTP call: authentication, request id, deadline, body and errors.

The counterpart of `rpc/interceptors.py`, which uses the same functions.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive

from sealserve import errors
from sealserve.gateway.replies import REQUEST_ID_HEADER, dump, error_headers, error_tree
from sealserve.rpc.authorisation.access import Access
from sealserve.rpc.budget import CURRENT_SHARE
from sealserve.rpc.call_context import CURRENT_CALL, Call, checked_request_id, new_request_id
from sealserve.rpc.interceptors import Failures, LargeMessages, traced, within
from sealserve.wire.channels import AUTHORIZATION_KEY, shown_secret
from sealserve.wire.http_statuses import status_of

TIMEOUT_HEADER = "x-sealserve-timeout"
MAX_TIMEOUT_SECONDS = 86_400.0
BODY_SECONDS = 30.0
"""How long a caller may take to send its body."""

CLIENT_GONE = 499
"""nginx's status for a caller that hung up; nobody reads it."""

T = TypeVar("T")
Serve = Callable[[Request], Awaitable[Response]]


class Entrance:
    """Admits calls, and turns failures into responses."""

    def __init__(self, access: Access, *, default_deadline_seconds: float, max_bytes: int) -> None:
        """`max_bytes` bounds a body. With authentication off, requests from pages in a browser (they send an Origin)
        are refused.
        """
        self._access = access
        self._default_deadline_seconds = default_deadline_seconds
        self._max_bytes = max_bytes
        self._large = LargeMessages()
        self._failures = Failures()

    def guarded(self, method: str, serve: Serve, *, prefix: str = "") -> Serve:
        """Return `serve` for callers that may call `method`, "Service/Method". Ids made here begin with `prefix`."""

        async def call(request: Request) -> Response:
            CURRENT_CALL.set(
                Call(request_id=prefix + new_request_id(), deadline_seconds=self._default_deadline_seconds)
            )
            try:
                _name_call(request, default_seconds=self._default_deadline_seconds)
                if self._access.is_open and "origin" in request.headers:
                    raise errors.PermissionDenied("with serve.auth = off no page in a browser may call")
                await self._access.enter(method, shown_secret([(AUTHORIZATION_KEY, _authorization(request))]))
                with traced(request.headers.get("traceparent", "")):
                    response = await serve(request)
            except ClientDisconnect:
                return Response(status_code=CLIENT_GONE)
            except Exception as error:  # the last place where it can be caught
                response = self.refusal(error, method=method)
            _name(response)
            return response

        return call

    def refusal(self, error: Exception, *, method: str) -> Response:
        """Return the answer that tells of `error`, after logging it."""
        told = self.told(error, method=method)
        headers = error_headers(told)
        if status_of(told) == 401:
            headers["www-authenticate"] = "Bearer"
        return Response(dump(error_tree(told)), status_of(told), headers, media_type="application/json")

    def told(self, error: Exception, *, method: str) -> errors.SealserveError:
        """Return what the caller may know of `error`, after logging it."""
        return self._failures.told(error, method=method.rpartition("/")[2], request_id=CURRENT_CALL.get().request_id)

    async def body(self, request: Request) -> bytes:
        """Return the body when it is its turn to be parsed.

        Raises: InvalidArgument (TOO_LARGE), DeadlineExceeded (it comes too slowly).
        """
        length = request.headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and (len(length) > 15 or int(length) > self._max_bytes):
            raise self._too_large()
        late = errors.DeadlineExceeded(f"the body did not come within {BODY_SECONDS:g} s")
        parts, size = [], 0
        async with within(BODY_SECONDS, late):
            async for part in request.stream():
                size += len(part)
                if size > self._max_bytes:
                    raise self._too_large()
                parts.append(part)
        CURRENT_SHARE.get().take_bytes(size)
        await self._large.turn(size)
        return b"".join(parts)

    def _too_large(self) -> errors.InvalidArgument:
        text = f"the body is larger than {self._max_bytes} bytes"
        return errors.InvalidArgument(text, field="", reason="TOO_LARGE")


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`, whose body was read, within the call's deadline; a caller that hangs up ends it.

    Raises: ClientDisconnect, DeadlineExceeded, and what `work` raises.
    """
    seconds = CURRENT_CALL.get().deadline_seconds
    late = errors.DeadlineExceeded(f"not done within {seconds:g} s; set {TIMEOUT_HEADER} or ask for less")
    async with hanging_up(receive) as gone:
        task = asyncio.ensure_future(work)
        try:
            async with within(seconds, late):
                await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientDisconnect
            return task.result()
        finally:
            task.cancel()
            await asyncio.wait((task,))


@asynccontextmanager
async def hanging_up(receive: Receive) -> AsyncIterator[asyncio.Task[None]]:
    """Provide a task that ends when the caller has disconnected."""

    async def listen() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task = asyncio.create_task(listen(), name="hang up")
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _name_call(request: Request, *, default_seconds: float) -> None:
    """Use the caller's own request id, if there is one. Raises: InvalidArgument."""
    given = checked_request_id(request.headers.get(REQUEST_ID_HEADER, ""))
    seconds = _seconds(request.headers.get(TIMEOUT_HEADER, ""), default_seconds=default_seconds)
    CURRENT_CALL.set(Call(request_id=given or CURRENT_CALL.get().request_id, deadline_seconds=seconds))


def _seconds(given: str, *, default_seconds: float) -> float:
    if not given:
        return default_seconds
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_TIMEOUT_SECONDS:
        text = f"{TIMEOUT_HEADER} must be a number of seconds, at most {MAX_TIMEOUT_SECONDS:g}"
        raise errors.InvalidArgument(text, field=TIMEOUT_HEADER)
    return seconds


def _authorization(request: Request) -> str:
    return request.headers.get(AUTHORIZATION_KEY, "")


def _name(response: Response) -> None:
    """Headers are Latin-1, so an id that is not ASCII is left out."""
    request_id = CURRENT_CALL.get().request_id
    if request_id.isascii():
        response.headers[REQUEST_ID_HEADER] = request_id
