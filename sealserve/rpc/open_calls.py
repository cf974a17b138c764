"""The calls that need no token, health and reflection: bounded by themselves, so that they stop nobody else's.

Streams are bounded in all and by peer, and a caller has little time to say what it wants. A single check is always let
in. A health watch too many is told that there is none here: gRPC's clients then go on without.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import grpc
import grpc.aio

from sealserve.errors import DeadlineExceeded, QuotaExceeded, SealserveError
from sealserve.rpc.abort import abort
from sealserve.rpc.authorisation.permissions import PACKAGE
from sealserve.rpc.interceptors import Continuation, Handler

HEALTH_WATCH = "/grpc.health.v1.Health/Watch"
"""A client that gets UNIMPLEMENTED takes the server for healthy
(https://github.com/grpc/proposal/blob/master/A17-client-side-health-checking.md).
"""

MOST_STREAMS = 256
MOST_STREAMS_OF_PEER = 32
REQUEST_SECONDS = 10.0
"""How long a caller may take to send its request, or the next one."""

RETRY_SECONDS = 10.0


class OpenCalls(grpc.aio.ServerInterceptor):
    """Bounds what may be called without a token. Stands before everything else."""

    def __init__(self) -> None:
        self._streams: Counter[str] = Counter()  # by peer

    async def intercept_service(self, continuation: Continuation, details: grpc.HandlerCallDetails) -> Handler:
        """Wrap the handlers of health and reflection; leave this package alone."""
        handler = await continuation(details)
        if handler is None or details.method.startswith(f"/{PACKAGE}."):
            return handler
        return grpc.stream_stream_rpc_method_handler(  # as such a handler is called before its request has come
            self._bounded(handler, is_watch=details.method == HEALTH_WATCH),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _bounded(self, handler: Any, *, is_watch: bool) -> Any:
        async def call(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
            try:
                with self._place(str(context.peer())) if handler.response_streaming else nullcontext():
                    async for response in _responses(handler, _prompt(requests), context):
                        yield response
            except QuotaExceeded as error:
                if is_watch:
                    await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{error.message}, or do without")
                await abort(context, error, request_id="")
            except SealserveError as error:
                await abort(context, error, request_id="")

        return call

    @contextmanager
    def _place(self, peer: str) -> Iterator[None]:
        """Run the body as one of the streams. Raises: QuotaExceeded."""
        host = peer.rpartition(":")[0]
        for whose, count, most in (
            ("this client", self._streams[host], MOST_STREAMS_OF_PEER),
            ("the server", self._streams.total(), MOST_STREAMS),
        ):
            if count >= most:
                text = f"{whose} has {most} streams of health and reflection open; end one first"
                raise QuotaExceeded(text, retry_seconds=RETRY_SECONDS, subject=whose)
        self._streams[host] += 1
        try:
            yield
        finally:
            self._streams[host] -= 1
            if not self._streams[host]:
                del self._streams[host]


async def _responses(handler: Any, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
    if handler.request_streaming:
        responses = handler.stream_stream(requests, context)
    else:
        request = await anext(requests, None)
        if request is None:
            raise DeadlineExceeded("the request is missing")
        if not handler.response_streaming:
            yield await handler.unary_unary(request, context)
            return
        responses = handler.unary_stream(request, context)
    async for response in responses:
        yield response


async def _prompt(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Yield the requests. Raises: DeadlineExceeded (the next one did not come)."""
    while True:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                request = await anext(requests, None)
        except TimeoutError as error:
            raise DeadlineExceeded(f"no request came within {REQUEST_SECONDS:g} s") from error
        if request is None:
            return
        yield request
