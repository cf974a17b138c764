"""Runs training children under actors of a Ray cluster: Ray only finds them a node and a CUDA device.

State stays in the registry. Ray retries nothing, uploads no files and reports no usage. Inputs and results are passed
by path, in a directory that every node sees. The only module that imports ray.
"""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import structlog

from sealserve.canonical import Json
from sealserve.errors import BadConfig, TrainingFailed
from sealserve.learning.training.executors.base import LAST_WORDS_BYTES, Child, Ended, Room
from sealserve.learning.training.executors.device_leases import CPU
from sealserve.settings.learn import LearnSettings
from sealserve.telemetry.names import LogEvent

_LOG = structlog.get_logger(__name__)

CANCEL_SECONDS = 30.0
"""How long a killed actor is waited for: Ray kills its worker at once, unless the node is away."""

_PROBE_SECONDS = 5.0
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run` Ray would upload the working directory
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # its handler would take SIGTERM away from the daemon
    "RAY_NUM_REDIS_GET_RETRIES": "1",  # each takes 40 s; 20 by default
}


class RayExecutor:
    """Tasks of the Ray cluster at `learn.ray_address`, each on one CUDA device where the cluster has any."""

    def __init__(self, settings: LearnSettings) -> None:
        """Connect to nothing yet. Raises: BadConfig (Ray is not installed)."""
        if find_spec("ray") is None:
            raise BadConfig("learn.executor is ray, but Ray is not installed: pip install 'sealserve[ray]'")
        self._address = settings.ray_address
        self._on_cpu = settings.devices == CPU
        self._connecting = asyncio.Lock()
        self._is_connected = False

    @asynccontextmanager
    async def room(self) -> AsyncIterator[Room]:
        """As `Executor.room`. A cluster that is away is looked for again each time."""
        async with self._connecting:
            room = await asyncio.to_thread(self._connected_room)
        yield room

    async def close(self) -> None:
        """As `Executor.close`: the cluster forgets this process and what it ran."""
        await asyncio.to_thread(self._disconnect)

    def _connected_room(self) -> "RayRoom":
        import ray
        from ray.exceptions import RayError

        try:
            if not self._is_connected:
                self._connect()
            return _room(ray.nodes(), on_cpu=self._on_cpu)
        except (RayError, ConnectionError, TimeoutError, RuntimeError, ValueError) as error:
            self._disconnect()
            raise TrainingFailed(f"no Ray cluster answers at learn.ray_address {self._address}") from error

    def _connect(self) -> None:
        os.environ.update(_ENVIRONMENT)
        import ray

        host, _, port = self._address.rpartition(":")
        if port.isdigit():
            socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_SECONDS).close()
        ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
        self._is_connected = True

    def _disconnect(self) -> None:
        if self._is_connected:
            import ray

            self._is_connected = False
            ray.shutdown()


@dataclass(frozen=True, slots=True, kw_only=True)
class RayRoom:
    """As `Room`: a cluster, of which every task takes `gpus` devices."""

    cores: int
    places: int
    gpus: int
    is_elsewhere: bool = True

    async def run(self, child: Child, *, on_progress: Callable[[Json], None]) -> Ended:
        """As `Room.run`. A child ends with its Ray worker, and that with this process.

        The worker is an actor's: killing one is safe whenever it happens, whereas cancelling a task of Ray 2.60 that
        is just about to end aborts the process that cancels.
        """
        import ray
        from ray.exceptions import RayError

        options = {"num_cpus": child.threads, "num_gpus": self.gpus, "scheduling_strategy": "SPREAD"}
        actor = ray.remote(Worker).options(**options, max_restarts=0, max_task_retries=0).remote()
        reports = actor.run.options(num_returns="streaming").remote(child, on_cpu=not self.gpus)
        try:
            return await _forward_reports(reports, child, on_progress)
        except RayError as error:
            raise TrainingFailed(f"the Ray actor that trained was lost ({type(error).__name__})") from error
        finally:
            await _kill(actor, reports)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """An actor has its place: the node's address, and which of `Child.reads` are not there."""

    node: str
    missing: tuple[str, ...]


class Worker:
    """What a Ray worker of ours does."""

    def run(self, child: Child, *, on_cpu: bool) -> Iterator[Started | bytes | Ended]:
        """Run the child, and yield that it started, each line it prints, and how it ended."""
        import ray

        missing = tuple(str(path) for path in child.reads if not path.exists())
        yield Started(node=ray.util.get_node_ip_address(), missing=missing)
        if missing:
            return
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if on_cpu else {}
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                [sys.executable, *child.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **child.environment, **hidden},
            )
            try:
                assert process.stdout is not None
                for line in process.stdout:  # noqa: UP028 - Ray uses send(), which a file lacks
                    yield line
                code = process.wait()
            finally:
                process.kill()
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - LAST_WORDS_BYTES))
            yield Ended(code=code, last_words=errors.read().decode(errors="replace"))


def _room(nodes: list[dict[str, Any]], *, on_cpu: bool) -> RayRoom:
    """Return what the cluster has room for. Raises: RuntimeError (no node has a CPU)."""
    alive = [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    if not alive:
        raise RuntimeError("no node has a CPU")
    with_gpu = [resources for resources in alive if resources.get("GPU", 0) >= 1]
    if with_gpu and not on_cpu:
        shares = [int(resources["CPU"] / resources["GPU"]) for resources in with_gpu]
        return RayRoom(cores=max(1, min(shares)), places=1, gpus=1)
    counts = [int(resources["CPU"]) for resources in alive]
    return RayRoom(cores=max(counts), places=sum(counts), gpus=0)


async def _forward_reports(reports: Any, child: Child, on_progress: Callable[[Json], None]) -> Ended:
    """Return how the child ended. Raises: RayError, TrainingFailed."""
    started = await (await anext(reports))
    if started.missing:
        raise TrainingFailed(
            f"Ray node {started.node} does not see {started.missing[0]}: data_directory and the base model must lie at "
            "the same path on every node"
        )
    try:
        async with asyncio.timeout(child.max_seconds):
            async for report in reports:
                said = await report
                if isinstance(said, Ended):
                    return said
                with suppress(ValueError):
                    on_progress(json.loads(said))
    except TimeoutError as error:
        raise TrainingFailed(f"training took longer than {child.max_seconds:g} s and was stopped") from error
    raise TrainingFailed("the Ray actor ended without a word")


async def _kill(actor: Any, reports: Any) -> None:
    """Kill the actor's worker, whose child then ends, and wait until it is gone."""
    import ray
    from ray.exceptions import RayError

    try:
        async with asyncio.timeout(CANCEL_SECONDS):
            await asyncio.to_thread(ray.kill, actor)
            await reports.completed()
    except TimeoutError:
        _LOG.warning(LogEvent.TRAINING_NOT_CANCELLED, seconds=CANCEL_SECONDS)
    except RayError:  # that it was killed
        return
