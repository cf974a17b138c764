"""How a client connects: message bounds, keepalive, reconnection."""

from typing import Any

TIMEOUT_SECONDS = 120.0
MAX_MESSAGE_BYTES = 8 * 2**20
"""The server's default bound (serve.max_message_bytes)."""

RESPONSE_FACTOR = 4
"""How much larger a response may be than a request: a page holds many things."""

KEEPALIVE_MILLISECONDS = 30_000
KEEPALIVE_TIMEOUT_MILLISECONDS = 10_000
RECONNECT_MILLISECONDS = 1_000


def options(max_message_bytes: int) -> list[tuple[str, Any]]:
    """Return the channel's options. A server that restarts is found again within about a second."""
    return [
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_receive_message_length", RESPONSE_FACTOR * max_message_bytes),
        ("grpc.keepalive_time_ms", KEEPALIVE_MILLISECONDS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MILLISECONDS),
        ("grpc.initial_reconnect_backoff_ms", RECONNECT_MILLISECONDS // 10),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_MILLISECONDS),
        ("grpc.enable_retries", 0),
    ]
