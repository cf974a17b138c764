"""`python -m sealserve.daemon.healthcheck [--live]`: one grpc.health.v1 check of the local server, for containers.

Reads the address from the settings. Exit code 0 means SERVING: the engine runs and tenants' versions are loaded. With
`--live` it means that the server answers the check at all: one that loads a model, or builds its engine anew, is alive.
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
    return _status(address, tls=tls, timeout_seconds=timeout_seconds) == int(health_pb2.HealthCheckResponse.SERVING)


def is_alive(address: str, *, tls: Tls | None = None, timeout_seconds: float = TIMEOUT_SECONDS) -> bool:
    """Return whether the server at `address` answers a health check, whatever it says."""
    return _status(address, tls=tls, timeout_seconds=timeout_seconds) is not None


def _status(address: str, *, tls: Tls | None, timeout_seconds: float) -> int | None:
    """Return what the server reports of itself; None if it cannot be reached."""
    with open_channel(grpc, address, tls=tls, options=[]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            return int(stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=timeout_seconds).status)
        except grpc.RpcError:
            return None


if __name__ == "__main__":
    serve = load_settings().serve
    check = is_alive if "--live" in sys.argv[1:] else is_serving
    sys.exit(not check(reachable(serve.address), tls=serve.tls()))
