"""How a client opens its channel: message limits, keepalive, reconnection, and which of several servers it asks."""

import json
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio

from sealserve.network import Tls
from sealserve.v1 import (
    adapter_pb2,
    approval_pb2,
    audit_pb2,
    canary_pb2,
    cycle_pb2,
    document_pb2,
    evaluation_pb2,
    feedback_pb2,
    inference_pb2,
    tenant_pb2,
    token_pb2,
    watch_pb2,
)
from sealserve.wire.channels import open_channel

TIMEOUT_SECONDS = 120.0
MAX_MESSAGE_BYTES = 8 * 2**20
"""The server's default limit (serve.max_message_bytes)."""

RESPONSE_FACTOR = 4
"""How many times larger than a request a response may be: a page holds many items."""

KEEPALIVE_MILLISECONDS = 30_000
KEEPALIVE_TIMEOUT_MILLISECONDS = 10_000
RECONNECT_MILLISECONDS = 1_000

ATTEMPTS = 4
"""Of a call whose server went away. A server that refuses a call itself has it tried no more (`rpc/abort.py`)."""

INFERENCE_SERVICE = inference_pb2.DESCRIPTOR.services_by_name["InferenceService"].full_name
"""Its health is watched: a server that starts, or builds its engine anew, gets no calls
(https://github.com/grpc/grpc/blob/master/doc/health-checking.md, ops/decisions/0030).
"""

_RETRY = {
    "maxAttempts": ATTEMPTS,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 3,
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],  # a server that ends cancels what it has not looked at
}
_FILES = (
    adapter_pb2, approval_pb2, audit_pb2, canary_pb2, cycle_pb2, document_pb2, evaluation_pb2, feedback_pb2,
    inference_pb2, tenant_pb2, token_pb2, watch_pb2,
)  # fmt: skip
_READS = ("Get", "List", "Summarize", "Verify", "Count", "Generate", "StreamGenerate")

AsyncChannel = grpc.aio.Channel
SyncChannel = grpc.Channel


def open_async_channel(address: str, *, tls: Tls | None, max_message_bytes: int) -> AsyncChannel:
    """Return a channel that belongs to the running event loop."""
    channel: AsyncChannel = open_channel(grpc.aio, address, tls=tls, options=_options(address, max_message_bytes))
    return channel


def open_sync_channel(address: str, *, tls: Tls | None, max_message_bytes: int) -> SyncChannel:
    """Return a channel that any thread may use."""
    channel: SyncChannel = open_channel(grpc, address, tls=tls, options=_options(address, max_message_bytes))
    return channel


def _options(address: str, max_message_bytes: int) -> list[tuple[str, Any]]:
    """Return the channel's options. A client reconnects within about a second after a server restart.

    An address of several servers (`dns:///name:port`, `ipv4:one:port,other:port`) is used in turn, without those that
    say of themselves that they cannot answer now.
    """
    return [
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_receive_message_length", RESPONSE_FACTOR * max_message_bytes),
        ("grpc.keepalive_time_ms", KEEPALIVE_MILLISECONDS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MILLISECONDS),
        ("grpc.initial_reconnect_backoff_ms", RECONNECT_MILLISECONDS // 10),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_MILLISECONDS),
        ("grpc.service_config", json.dumps(_service_config(has_several=has_several(address)))),
    ]


def has_several(address: str) -> bool:
    """Return whether `address` may stand for several servers."""
    return "," in address or address.startswith("dns:")


def _service_config(*, has_several: bool) -> dict[str, Any]:
    """Return what gRPC does by itself (https://github.com/grpc/grpc/blob/master/doc/service_config.md).

    A call is sent again until its first response has come, if it only reads or carries a request id.
    """
    health = {"healthCheckConfig": {"serviceName": INFERENCE_SERVICE}} if has_several else {}
    return {
        **health,
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [{"name": list(_repeatable()), "retryPolicy": _RETRY}],
    }


def _repeatable() -> Iterator[dict[str, str]]:
    for file in _FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                if method.name.startswith(_READS) or "request_id" in method.input_type.fields_by_name:
                    yield {"service": service.full_name, "method": method.name}
