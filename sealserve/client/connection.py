"""One connection to one server, and how calls go over it: blocking and awaited. Knows no method of any service.

The classes with the services' methods stand on these, so that both clients differ in nothing but `await`.
"""

from collections.abc import AsyncGenerator, Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import grpc.aio

from sealserve.client import calls, channel
from sealserve.client.calls import Call
from sealserve.network import Tls, require_private
from sealserve.records.pages import Page
from sealserve.wire.channels import bearer, open_channel
from sealserve.wire.statuses import from_rpc_error

T = TypeVar("T")


class Connection:
    """For `Client`. Thread-safe, as its channel is."""

    def __init__(
        self,
        address: str,
        *,
        token: str = "",
        tls: Tls | None = None,
        insecure: bool = False,
        timeout_seconds: float = channel.TIMEOUT_SECONDS,
        max_message_bytes: int = channel.MAX_MESSAGE_BYTES,
    ) -> None:
        """Connect on the first call, showing `token`. `timeout_seconds` bounds every call but the watches.

        Without `tls` calls go in plain text. Raises: BadConfig (a token beyond this machine, and not `insecure`).
        """
        require_private(address, secret=token, tls=tls, insecure=insecure)
        self.address = address
        self._shown = bearer(token)
        self._timeout_seconds = timeout_seconds
        self._max_message_bytes = max_message_bytes
        self._channel: grpc.Channel = open_channel(grpc, address, tls=tls, options=channel.options(max_message_bytes))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancel what runs and disconnect."""
        self._channel.close()

    def _unary(self, call: Call[T]) -> T:
        calls.check_size(call.request, max_bytes=self._max_message_bytes)
        method = self._channel.unary_unary(**calls.method(call))
        try:
            return call.read(method(call.request, timeout=self._timeout_seconds, metadata=self._shown))
        except grpc.RpcError as error:
            raise from_rpc_error(error, address=self.address) from error

    def _pages(self, page: Callable[[str], Call[Page[T]]]) -> Iterator[T]:
        token = ""
        while True:
            one = self._unary(page(token))
            yield from one.items
            token = one.next_page_token
            if not token:
                return

    def _stream(self, call: Call[T], *, timeout_seconds: float | None) -> Iterator[T]:
        calls.check_size(call.request, max_bytes=self._max_message_bytes)
        method = self._channel.unary_stream(**calls.method(call))
        return self._read(method(call.request, timeout=timeout_seconds, metadata=self._shown), call.read)

    def _read(self, responses: Any, read: Callable[[Any], T]) -> Iterator[T]:
        try:
            for wire in responses:
                yield read(wire)
        except grpc.RpcError as error:
            raise from_rpc_error(error, address=self.address) from error
        finally:
            responses.cancel()


class AsyncConnection:
    """For `AsyncClient`. One event loop, the one of its first call."""

    def __init__(
        self,
        address: str,
        *,
        token: str = "",
        tls: Tls | None = None,
        insecure: bool = False,
        timeout_seconds: float = channel.TIMEOUT_SECONDS,
        max_message_bytes: int = channel.MAX_MESSAGE_BYTES,
    ) -> None:
        """Connect on the first call, showing `token`. `timeout_seconds` bounds every call but the watches.

        Without `tls` calls go in plain text. Raises: BadConfig (a token beyond this machine, and not `insecure`).
        """
        require_private(address, secret=token, tls=tls, insecure=insecure)
        self.address = address
        self._shown = bearer(token)
        self._timeout_seconds = timeout_seconds
        self._max_message_bytes = max_message_bytes
        self._tls = tls
        self._opened: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancel what runs and disconnect."""
        if self._opened is not None:
            await self._opened.close()

    @property
    def _channel(self) -> grpc.aio.Channel:
        if self._opened is None:  # not in __init__: a channel belongs to the loop that runs when it is made
            options = channel.options(self._max_message_bytes)
            self._opened = open_channel(grpc.aio, self.address, tls=self._tls, options=options)
        return self._opened

    async def _unary(self, call: Call[T]) -> T:
        calls.check_size(call.request, max_bytes=self._max_message_bytes)
        method = self._channel.unary_unary(**calls.method(call))
        try:
            return call.read(await method(call.request, timeout=self._timeout_seconds, metadata=self._shown))
        except grpc.RpcError as error:
            raise from_rpc_error(error, address=self.address) from error

    async def _pages(self, page: Callable[[str], Call[Page[T]]]) -> AsyncGenerator[T, None]:
        token = ""
        while True:
            one = await self._unary(page(token))
            for item in one.items:
                yield item
            token = one.next_page_token
            if not token:
                return

    def _stream(self, call: Call[T], *, timeout_seconds: float | None) -> AsyncGenerator[T, None]:
        calls.check_size(call.request, max_bytes=self._max_message_bytes)
        method = self._channel.unary_stream(**calls.method(call))
        return self._read(method(call.request, timeout=timeout_seconds, metadata=self._shown), call.read)

    async def _read(self, responses: Any, read: Callable[[Any], T]) -> AsyncGenerator[T, None]:
        try:
            async for wire in responses:
                yield read(wire)
        except grpc.RpcError as error:
            raise from_rpc_error(error, address=self.address) from error
        finally:
            responses.cancel()
