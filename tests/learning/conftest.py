"""A Ray cluster of two small nodes, on loopback, and a tenant that has learned enough for the outer loop."""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sealserve.records.cycles import CycleState
from tests.stories.school import School, open_school

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # what makes 127.0.0.1 stay 127.0.0.1
}
_LEARN = {"editor__samples": 2, "training__candidates": 1}
_TITLES = (
    "Varnel Lamp",
    "Osk Kettle",
    "Tarn Bridge",
    "Ulm Harbour",
    "Brisk Ferry",
    "Cold Anvil",
    "Dun Mill",
    "Elk Hall",
)
_NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False, "node_ip_address": "127.0.0.1"}


class RayNodes:
    """A running cluster; `address` is what learn.ray_address takes."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.add()
        self.address = str(cluster.address)
        self.add()

    def add(self) -> None:
        """Start a node of one CPU, the first of which is the head."""
        self._cluster.add_node(**_NODE)

    def lose_one(self) -> None:
        """Kill everything that runs on a node which is not the head."""
        self._cluster.remove_node(next(iter(self._cluster.worker_nodes)), allow_graceful=False)

    def stop(self) -> None:
        """Stop every node and drop their logs."""
        directory = self._cluster.head_node.get_session_dir_path()
        self._cluster.shutdown()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def ray_nodes() -> Iterator[RayNodes]:
    """Two nodes of one CPU each; Ray's changes to this process are undone at the end."""
    terminate = signal.getsignal(signal.SIGTERM)
    os.environ.update(_ENVIRONMENT)
    from ray.cluster_utils import Cluster

    nodes = RayNodes(Cluster())
    yield nodes
    nodes.stop()
    signal.signal(signal.SIGTERM, terminate)
    for name in _ENVIRONMENT:
        os.environ.pop(name, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What plays a round is slow."""
    for item in items:
        if "taught" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def taught_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a school whose tenant has learned eight documents."""
    directory = tmp_path_factory.mktemp("taught")
    asyncio.run(_teach(directory))
    return directory


async def _teach(directory: Path) -> None:
    school = open_school(directory, **_LEARN)
    await school.student.start()
    for shift, title in enumerate(_TITLES):
        school.add(title, shift=shift)
    for _ in range(2):
        assert (await school.learn()).state is CycleState.PROMOTED
    school.registry.close()


@pytest_asyncio.fixture
async def taught(taught_directory: Path, tmp_path: Path, tiny_base: Path) -> School:
    """A copy of that school."""
    shutil.copytree(taught_directory, tmp_path, dirs_exist_ok=True)
    school = open_school(tmp_path, **_LEARN)
    school.clock.now += timedelta(days=1)
    await school.student.start()
    editor = school.context.policy.editor.model_copy(update={"min_documents": 2})
    policy = school.context.policy.model_copy(update={"editor": editor})
    school.context = replace(school.context, base_directory=tiny_base, policy=policy)
    return school
