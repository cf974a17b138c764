# Generated from async_connection.py by ops/clients. Do not edit.
"""A connection to one server, and how calls are sent over it: single, paged and streamed."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from sealserve.client import connection
from sealserve.client.calls.core import Call, check_size, method_arguments, routing
from sealserve.client.calls.documents import MAX_FILE_BYTES
from sealserve.client.connection import SyncChannel, open_sync_channel
from sealserve.errors import Unavailable
from sealserve.network import Tls, require_private
from sealserve.records.pages import Page
from sealserve.wire.channels import bearer
from sealserve.wire.statuses import WATCH_AGAIN, from_rpc_error

T = TypeVar("T")


class Connection:
    """The base class of the client, without any call of the API."""

    def __init__(
        self,
        address: str,
        *,
        token: str = "",
        tls: Tls | None = None,
        insecure: bool = False,
        timeout_seconds: float = connection.TIMEOUT_SECONDS,
        max_message_bytes: int = connection.MAX_MESSAGE_BYTES,
        max_file_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        """Prepare a connection that opens with the first call and sends `token` with each.

        `timeout_seconds` limits every call except those that watch. Without `tls`, calls are sent in plaintext.
        Raises: BadConfig (a token would leave this machine in plaintext, and `insecure` is not set).
        """
        require_private(address, secret=token, tls=tls, insecure=insecure)
        self.address = address
        self._metadata = bearer(token)
        self._timeout_seconds = timeout_seconds
        self._max_message_bytes = max_message_bytes
        self._max_file_bytes = max_file_bytes
        self._tls = tls
        self._opened: SyncChannel | None = None
        self._opening = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancel running calls and disconnect."""
        if self._opened is not None:
            self._opened.close()

    @property
    def _channel(self) -> SyncChannel:
        with self._opening:
            if self._opened is None:  # not in __init__: an asyncio channel belongs to the loop that runs when it opens
                self._opened = open_sync_channel(self.address, tls=self._tls, max_message_bytes=self._max_message_bytes)
            return self._opened

    def _unary(self, call: Call[T]) -> T:
        check_size(call.request, max_bytes=self._max_message_bytes)
        method = self._channel.unary_unary(**method_arguments(call))
        try:
            return call.read(
                method(call.request, timeout=self._timeout_seconds, metadata=(*self._metadata, *routing(call.request)))
            )
        except grpc.RpcError as error:
            raise from_rpc_error(error, address=self.address) from error

    def _pages(self, page: Callable[[str], Call[Page[T]]]) -> Generator[T, None]:
        token = ""
        while True:
            fetched = self._unary(page(token))
            yield from fetched.items
            token = fetched.next_page_token
            if not token:
                return

    def _stream(self, call: Call[T], *, timeout_seconds: float | None) -> Generator[T, None]:
        check_size(call.request, max_bytes=self._max_message_bytes)
        method = self._channel.unary_stream(**method_arguments(call))
        return self._read(
            method(call.request, timeout=timeout_seconds, metadata=(*self._metadata, *routing(call.request))), call.read
        )

    def _watch(self, call: Call[T], *, timeout_seconds: float | None) -> Generator[T, None]:
        """Stream, and stream again when the server ends a watch that is to go on; what was read last is left out."""
        ends_at = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        last: T | None = None
        while True:
            left = None if ends_at is None else max(0.0, ends_at - time.monotonic())
            try:
                with closing(self._stream(call, timeout_seconds=left)) as states:
                    for state in states:
                        if state != last:
                            last = state
                            yield state
                return
            except Unavailable as error:
                if error.reason != WATCH_AGAIN:
                    raise

    def _read(self, responses: Any, read: Callable[[Any], T]) -> Generator[T, None]:
        try:
            for wire in responses:
                yield read(wire)
        except grpc.RpcError as error:
            raise from_rpc_error(error, address=self.address) from error
        finally:
            responses.cancel()
