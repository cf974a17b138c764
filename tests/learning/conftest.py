"""A Ray cluster of two small nodes, on loopback."""

import os
from collections.abc import Iterator

import pytest

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # what makes 127.0.0.1 stay 127.0.0.1
}
_NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False, "node_ip_address": "127.0.0.1"}


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    """The address of a running cluster: two nodes of one CPU each."""
    os.environ.update(_ENVIRONMENT)
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    for _ in range(2):
        cluster.add_node(**_NODE)
    yield str(cluster.address)
    cluster.shutdown()
    for name in _ENVIRONMENT:
        del os.environ[name]
