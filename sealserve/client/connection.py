"""How a client opens its channel: message limits, keepalive, reconnection."""

from typing import Any

import grpc
import grpc.aio

from sealserve.network import Tls
from sealserve.wire.channels import open_channel

TIMEOUT_SECONDS = 120.0
MAX_MESSAGE_BYTES = 8 * 2**20
"""The server's default limit (serve.max_message_bytes)."""

RESPONSE_FACTOR = 4
"""How many times larger than a request a response may be: a page holds many items."""

KEEPALIVE_MILLISECONDS = 30_000
KEEPALIVE_TIMEOUT_MILLISECONDS = 10_000
RECONNECT_MILLISECONDS = 1_000

AsyncChannel = grpc.aio.Channel
SyncChannel = grpc.Channel


def open_async_channel(address: str, *, tls: Tls | None, max_message_bytes: int) -> AsyncChannel:
    """Return a channel that belongs to the running event loop."""
    channel: AsyncChannel = open_channel(grpc.aio, address, tls=tls, options=_options(max_message_bytes))
    return channel


def open_sync_channel(address: str, *, tls: Tls | None, max_message_bytes: int) -> SyncChannel:
    """Return a channel that any thread may use."""
    channel: SyncChannel = open_channel(grpc, address, tls=tls, options=_options(max_message_bytes))
    return channel


def _options(max_message_bytes: int) -> list[tuple[str, Any]]:
    """Return the channel's options. A client reconnects within about a second after a server restart."""
    return [
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_receive_message_length", RESPONSE_FACTOR * max_message_bytes),
        ("grpc.keepalive_time_ms", KEEPALIVE_MILLISECONDS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MILLISECONDS),
        ("grpc.initial_reconnect_backoff_ms", RECONNECT_MILLISECONDS // 10),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_MILLISECONDS),
        ("grpc.enable_retries", 0),
    ]
