"""grpc.health.v1: whether each service can answer now, pushed to watchers when it changes.

Unlike grpcio's own servicer, a watcher that does not read holds up nobody: no lock is held while writing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sealserve.engine.engine import Engine
from sealserve.records.inference import EngineInfo, EngineState

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """The states of the named services; "" is the server as a whole. All start as NOT_SERVING."""

    def __init__(self, services: Iterable[str]) -> None:
        self._states: dict[str, int] = dict.fromkeys(["", *services], NOT_SERVING)
        self._changed = asyncio.Event()
        self._is_over = False

    def set(self, services: Iterable[str], *, is_serving: bool) -> None:
        """Say whether `services` can answer; every watcher of them is told. After `end` nothing changes."""
        state = SERVING if is_serving else NOT_SERVING
        new = dict.fromkeys(services, state)
        if not self._is_over and any(self._states.get(name) != state for name in new):
            self._states.update(new)
            self._wake()

    def is_serving(self, service: str = "") -> bool:
        """Return whether `service` can answer now; "" is the server as a whole."""
        return bool(self._states.get(service) == SERVING)

    def end(self) -> None:
        """Say NOT_SERVING for good, and let every watcher go once it was told."""
        self.set(self._states, is_serving=False)
        self._is_over = True
        self._wake()

    async def follow(
        self,
        engine: Engine,
        *,
        services: Iterable[str],
        seconds: float,
        is_settled: Callable[[EngineInfo], bool],
        need_versions: Iterable[str],
    ) -> None:
        """Keep `services` at what the engine says of itself, asked every `seconds`, until cancelled.

        Those that `need_versions` serve only once `is_settled` says that tenants' versions are loaded as well.
        """
        names, waiting = tuple(services), frozenset(need_versions)
        while True:
            info = await engine.info()
            is_serving = info.state is EngineState.SERVING
            self.set([name for name in names if name not in waiting], is_serving=is_serving)
            self.set([name for name in names if name in waiting], is_serving=is_serving and is_settled(info))
            await asyncio.sleep(seconds)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def Check(self, request: Any, context: Any) -> Any:
        """Return the state of one service now; NOT_FOUND if there is no such service."""
        if request.service not in self._states:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return health_pb2.HealthCheckResponse(status=self._states[request.service])

    async def List(self, request: Any, context: Any) -> Any:
        """Return the states of all."""
        states = {name: health_pb2.HealthCheckResponse(status=state) for name, state in self._states.items()}
        return health_pb2.HealthListResponse(statuses=states)

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """Send the state of one service now and after every change."""
        told: int | None = None
        while True:
            changed = self._changed  # taken before the state is read: a change in between wakes us
            state = self._states.get(request.service, SERVICE_UNKNOWN)
            if state != told:
                yield health_pb2.HealthCheckResponse(status=state)
                told = state
            if self._is_over:
                return
            await changed.wait()
