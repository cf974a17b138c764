"""The container health check: SERVING is healthy, anything else is not."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from sealserve.daemon.healthcheck import is_alive, is_serving


@pytest.mark.parametrize(("state", "expected"), [("SERVING", True), ("NOT_SERVING", False)])
def test_probe_says_what_the_health_service_says(state: str, expected: bool) -> None:
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.ServingStatus.Value(state))
    server = grpc.server(ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        assert is_serving(f"127.0.0.1:{port}") is expected
        assert is_alive(f"127.0.0.1:{port}"), "one that is not ready is alive"
    finally:
        server.stop(None).wait()


def test_server_that_is_not_there_is_not_healthy() -> None:
    assert is_serving("127.0.0.1:9", timeout_seconds=0.5) is False
    assert is_alive("127.0.0.1:9", timeout_seconds=0.5) is False
