"""`python -m sealserve.daemon.healthcheck`: one grpc.health.v1 check of the local server, for containers.

Reads the address from the settings. Exit code 0 means SERVING.
"""

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sealserve.network import Tls, reachable
from sealserve.settings.settings import load_settings
from sealserve.wire.channels import open_channel

TIMEOUT_SECONDS = 4.0


def is_serving(address: str, *, tls: Tls | None = None, timeout_seconds: float = TIMEOUT_SECONDS) -> bool:
    """Return whether the server at `address` reports SERVING; False if it cannot be reached."""
    with open_channel(grpc, address, tls=tls, options=[]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=timeout_seconds)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


if __name__ == "__main__":
    serve = load_settings().serve
    sys.exit(not is_serving(reachable(serve.address), tls=serve.tls()))
