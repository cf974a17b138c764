"""A streamed answer as server-sent events (HTML Standard, section 9.2), ended by `data: [DONE]` as OpenAI's are."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sealserve import errors
from sealserve.gateway.entrance import hanging_up
from sealserve.gateway.replies import Shape, answer_headers, dump, error_tree
from sealserve.records.inference import FinishReason
from sealserve.records.reports import AnswerEvent, Answering, Ended, Piece
from sealserve.rpc.interceptors import IDLE_WRITE_SECONDS, within

DONE = b"data: [DONE]\n\n"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class AnswerStream(Response):
    """Sends events as they come. The first one exists already, so earlier errors were answered with a status of their
    own.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        answering: Answering,
        events: AsyncGenerator[AnswerEvent, None],
        *,
        shape: Shape,
        n: int,
        with_usage: bool,
        tell: Callable[[Exception], errors.SealserveError],
    ) -> None:
        """`events` go on after `answering`, and are closed in the end.

        `tell` says what a caller may know of an error.
        """
        super().__init__(headers={**HEADERS, **answer_headers(answering)})
        del self.headers["content-length"]
        self._events = events
        self._shape = shape
        self._n = n
        self._with_usage = with_usage
        self._tell = tell
        shape.begin(answering)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer; a caller that disconnects frees its sequences."""
        sending = asyncio.ensure_future(self._send(send))
        try:
            async with hanging_up(receive) as gone:
                await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            await asyncio.wait((sending,))

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._told()) as chunks:
            async for chunk in chunks:
                async with within(IDLE_WRITE_SECONDS, errors.DeadlineExceeded("nothing was read; read faster")):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _told(self) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in self._chunks():
                yield chunk
        except Exception as error:  # the status has been sent: the stream says it, as OpenAI's does
            yield _event(dump(error_tree(self._tell(error))))
        yield DONE

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield b"".join(map(_event, self._shape.opening(self._n)))
        ended: set[int] = set()
        async with aclosing(self._events) as events:
            async for event in events:
                if isinstance(event, Piece):
                    require_whole(event.finish)
                    if event.finish is not None:
                        ended.add(event.index)
                    yield _event(self._shape.piece(event))
                elif isinstance(event, Ended):
                    require_whole(event.finish)
                    for index in sorted(set(range(self._n)) - ended):
                        yield _event(self._shape.end(index, event.finish))
                    if self._with_usage:
                        yield _event(self._shape.usage(event.usage))


def require_whole(finish: FinishReason | None) -> None:
    """Return unless the server cut the answer off. Raises: Unavailable."""
    if finish is FinishReason.ABORT:
        raise errors.Unavailable("the server is stopping and cut the answer off; ask again", reason="ABORTED")


def _event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"
