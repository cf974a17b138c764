"""What surrounds every call: its name, its deadline, its trace, and what a caller is told when it fails.

The last place where an error can be caught. Errors of `sealserve.errors` are told as they are; of anything else the
caller learns a request id and nothing more.
"""

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, TypeAlias, cast

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError
from opentelemetry import context as trace_context

from sealserve import errors
from sealserve.rpc.abort import abort, trailing
from sealserve.rpc.authorisation.permissions import PACKAGE
from sealserve.rpc.budget import CURRENT_SHARE, WATCHES
from sealserve.rpc.call_context import CURRENT_CALL, REQUEST_ID_KEY, Call, checked_request_id, new_request_id
from sealserve.rpc.page_tokens import SealedPageTokens
from sealserve.telemetry.names import LogEvent
from sealserve.telemetry.traces import error_type, remote_context

FOREVER_SECONDS = 10.0**9
LOG_SECONDS = 5.0
"""While calls fail for one reason, the log has a line in so many seconds."""

IDLE_WRITE_SECONDS = 30.0
"""How long a reader may leave one message of a stream unread."""

LARGE_BYTES = 2**18
"""What takes a millisecond to parse."""

LEAST_SECONDS = 0.005
"""Not even a refusal gets back to the caller in less: nothing is begun."""

_LOG = structlog.get_logger(__name__)

Parse: TypeAlias = Callable[[bytes], Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]"


class LargeMessages:
    """Lets one large message in each pass of the event loop be parsed, so that other calls go on between them."""

    def __init__(self) -> None:
        self._turns = asyncio.Lock()

    async def turn(self, size_bytes: int) -> None:
        """Return when it is this message's turn."""
        if size_bytes >= LARGE_BYTES:
            async with self._turns:
                await asyncio.sleep(0)


class Boundary(grpc.aio.ServerInterceptor):
    """Gives each call a request id, a deadline and its caller's trace, and turns errors into statuses."""

    def __init__(
        self, *, default_deadline_seconds: float, idle_write_seconds: float, page_tokens: SealedPageTokens
    ) -> None:
        """`idle_write_seconds` is how long a reader may leave one message of a stream unread."""
        self._default_deadline_seconds = default_deadline_seconds
        self._idle_write_seconds = idle_write_seconds
        self._page_tokens = page_tokens
        self._large = LargeMessages()
        self._failures = Failures()

    async def intercept_service(self, continuation: Continuation, details: grpc.HandlerCallDetails) -> Handler:
        """Wrap the handlers of this package; leave health and reflection alone."""
        handler = await continuation(details)
        if handler is None or not details.method.startswith(f"/{PACKAGE}."):
            return handler
        method = details.method.rpartition("/")[2]
        codec = {"response_serializer": handler.response_serializer}  # requests arrive as bytes: see _parsed
        parse = cast(Parse, handler.request_deserializer)
        if handler.response_streaming and handler.request_streaming:
            both = self._streaming(handler.stream_stream, method, parse=lambda raw: _each_parsed(raw, parse))
            return grpc.stream_stream_rpc_method_handler(both, **codec)
        if handler.response_streaming:
            stream = self._streaming(handler.unary_stream, method, parse=lambda raw: _parsed(raw, parse))
            return grpc.unary_stream_rpc_method_handler(stream, **codec)
        return grpc.unary_unary_rpc_method_handler(self._unary(handler.unary_unary, method, parse=parse), **codec)

    def _unary(self, serve: Any, method: str, *, parse: Parse) -> Any:
        async def call(raw: bytes, context: Any) -> Any:
            async with self._bounds(method, context=context):
                await self._large.turn(len(raw))
                request = _parsed(raw, parse)
                _name_call(request)
                self._page_tokens.open(request, method=method)
                response = await serve(request, context)
                self._page_tokens.seal(response, method=method)
                return response

        return call

    def _streaming(self, serve: Any, method: str, *, parse: Callable[[Any], Any]) -> Any:
        async def call(raw: Any, context: Any) -> None:
            async with self._bounds(method, context=context):
                request = parse(raw)
                _name_call(request)
                async with aclosing(serve(request, context)) as responses:
                    async for response in responses:
                        await self._write(response, context)

        return call

    async def _write(self, response: Any, context: Any) -> None:
        text = f"nothing was read for {self._idle_write_seconds:g} s: the answer was dropped; read faster"
        async with within(self._idle_write_seconds, errors.DeadlineExceeded(text, reason="READER_TOO_SLOW")):
            try:
                await context.write(response)
            except grpc.aio.InternalError as error:
                _LOG.info(LogEvent.CALL_ABANDONED, error_type=error_type(error))
                raise asyncio.CancelledError from error

    @asynccontextmanager
    async def _bounds(self, method: str, *, context: Any) -> AsyncIterator[None]:
        metadata = dict(context.invocation_metadata() or ())
        CURRENT_CALL.set(Call(request_id=new_request_id(), deadline_seconds=self._default_deadline_seconds))
        try:
            seconds = self._seconds(method, context)
            request_id = checked_request_id(str(metadata.get(REQUEST_ID_KEY, ""))) or CURRENT_CALL.get().request_id
            CURRENT_CALL.set(Call(request_id=request_id, deadline_seconds=seconds))
            late = errors.DeadlineExceeded(f"not done within {seconds:g} s; allow a longer deadline or ask for less")
            with traced(str(metadata.get("traceparent", ""))):
                async with within(seconds, late):
                    yield
            context.set_trailing_metadata(trailing(CURRENT_CALL.get().request_id))
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            request_id = CURRENT_CALL.get().request_id
            told = self._failures.told(error, method=method, request_id=request_id)
            await abort(context, told, request_id=request_id)

    def _seconds(self, method: str, context: Any) -> float:
        remaining: float | None = context.time_remaining()
        if remaining is None:
            return FOREVER_SECONDS if method in WATCHES else self._default_deadline_seconds
        if remaining < LEAST_SECONDS:
            raise errors.DeadlineExceeded("the deadline was past, or all but past, on arrival; allow more time")
        return min(remaining, FOREVER_SECONDS)


@asynccontextmanager
async def within(seconds: float, late: errors.SealserveError) -> AsyncIterator[None]:
    """Raise `late` when the body takes longer than `seconds`; a TimeoutError of the body's own stays one."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError as error:
        if limit.expired():
            raise late from error
        raise


@contextmanager
def traced(traceparent: str) -> Iterator[None]:
    """Run the body as a part of the caller's trace, if it has one."""
    parent = remote_context(traceparent)
    if parent is None:
        yield
        return
    token = trace_context.attach(parent)
    try:
        yield
    finally:
        trace_context.detach(token)


def _parsed(raw: bytes, parse: Parse) -> Any:
    """Parse here and not in gRPC, which answers bytes that are no message with UNKNOWN and a stack trace."""
    CURRENT_SHARE.get().take_bytes(len(raw))
    try:
        return parse(raw)
    except DecodeError as error:
        raise errors.InvalidArgument("the request is not a message of this method", field="") from error


async def _each_parsed(raws: AsyncIterator[bytes], parse: Parse) -> AsyncIterator[Any]:
    async for raw in raws:
        yield _parsed(raw, parse)


def _name_call(request: Any) -> None:
    """A request_id in the message wins over one in the metadata. Raises: InvalidArgument."""
    named = checked_request_id(getattr(request, "request_id", ""))
    if named:
        CURRENT_CALL.set(replace(CURRENT_CALL.get(), request_id=named))


class Failures:
    """What a failed call's caller and the log are told. While one reason goes on, the log has a line now and then."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lately: dict[str, tuple[float, int]] = {}  # reason: when it was logged, how often it came since

    def told(self, error: Exception, *, method: str, request_id: str) -> errors.SealserveError:
        """Log what went wrong and return what the caller may know of it.

        The text of an unexpected exception is not logged: it may quote a document or a prompt.
        """
        known = {"method": method, "request_id": request_id, "error_type": error_type(error)}
        if isinstance(error, errors.CallerError):
            _LOG.debug(LogEvent.CALL_REFUSED, **known)
            return error
        if isinstance(error, errors.SealserveError):
            if (unlogged := self._unlogged(error.reason)) is not None:
                cause = type(error.__cause__).__qualname__
                _LOG.warning(LogEvent.CALL_FAILED, error=error.message, cause=cause, unlogged=unlogged, **known)
            return error
        _LOG.error(LogEvent.CALL_CRASHED, frames=traceback.format_tb(error.__traceback__), **known)
        return errors.OurError(f"something broke in the server; its log has the details under request {request_id}")

    def _unlogged(self, reason: str) -> int | None:
        """Return how many failures for `reason` went unlogged since the last that was; None: so does this one."""
        now = self._clock()
        logged_at, unlogged = self._lately.get(reason, (-LOG_SECONDS, 0))
        if now - logged_at < LOG_SECONDS:
            self._lately[reason] = (logged_at, unlogged + 1)
            return None
        self._lately[reason] = (now, 0)
        return unlogged
