"""This server's entry among the replicas: made at start, renewed while it runs, removed at shutdown.

The entry identifies the process, so that two servers with one name are noticed, and a server that was killed and
started again takes over its entry at once.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import structlog

from sealserve.errors import BadConfig, StorageFailed
from sealserve.records.replicas import Replica
from sealserve.registry.replicas import ALIVE_SECONDS, Replicas
from sealserve.telemetry.names import LogEvent

HEARTBEAT_SECONDS = 5.0
LOOK_SECONDS = 1.0

_LOG = structlog.get_logger(__name__)


class Presence:
    """The entry of one server, under a name that no other may have. Use it from one event loop."""

    def __init__(
        self,
        replicas: Replicas,
        *,
        name: str,
        address: str,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._replicas = replicas
        self._name = name
        self._address = address
        self._heartbeat_seconds = heartbeat_seconds
        self._look_seconds = look_seconds
        self._identity = process_identity(os.getpid())
        self.on_lost: Callable[[], None] = lambda: None  # called after an entry that was removed was made again

    async def announce(self) -> None:
        """Return once the name is this server's. One that was killed elsewhere holds it for `ALIVE_SECONDS` at most.

        Raises: BadConfig (another server of this name is running), StorageFailed.
        """
        first = await self._announce()
        if first is None:
            return
        _LOG.warning(LogEvent.REPLICA_REFUSED, replica=self._name, address=first.address, seconds=ALIVE_SECONDS)
        while (holder := await self._announce()) is not None:
            if holder.heartbeat_at != first.heartbeat_at:
                raise BadConfig(
                    f"another server is running as replica {self._name!r} (it listens on {holder.address}): give each "
                    "its own serve.replica, or stop the other one"
                )
            await asyncio.sleep(self._look_seconds)

    async def run(self) -> None:
        """Renew the heartbeat until cancelled. An entry that was removed meanwhile is made again."""
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            try:
                is_own = await asyncio.to_thread(self._replicas.renew, self._name, identity=self._identity)
                if is_own:
                    continue
                holder = await self._announce()
            except StorageFailed as error:
                _LOG.warning(LogEvent.HEARTBEAT_NOT_RENEWED, replica=self._name, reason=error.reason)
                continue
            if holder is not None:
                _LOG.error(LogEvent.REPLICA_REFUSED, replica=self._name, address=holder.address)
            else:
                self.on_lost()

    async def leave(self) -> None:
        """Remove the entry; one that cannot be removed is dead after `ALIVE_SECONDS`."""
        try:
            await asyncio.to_thread(self._replicas.leave, self._name, identity=self._identity)
        except StorageFailed as error:
            _LOG.warning(LogEvent.HEARTBEAT_NOT_RENEWED, replica=self._name, reason=error.reason)

    async def _announce(self) -> Replica | None:
        """Make the entry; return the other server that has the name, if there is one."""
        return await asyncio.to_thread(self._try_announce)

    def _try_announce(self) -> Replica | None:
        own = {"identity": self._identity, "address": self._address}
        holder = self._replicas.announce(self._name, **own)
        if holder is not None and has_ended(holder.identity):
            holder = self._replicas.announce(self._name, **own, instead_of=holder.identity)
        return holder


def process_identity(pid: int) -> str:
    """Return what tells this process of this machine from every other: boot, process namespace, id, start time."""
    return f"{_machine()}/{pid}/{_start_ticks(pid)}"


def has_ended(identity: str) -> bool:
    """Return whether that process is known to have ended; False for one of another machine or container."""
    machine, _, process = identity.partition("/")
    pid, _, ticks = process.partition("/")
    return machine == _machine() and bool(machine) and _start_ticks(int(pid)) != ticks


def _machine() -> str:
    """Return the boot and the process namespace; empty where there is no Linux /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}:{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _start_ticks(pid: int) -> str:
    """Return when the process started, in clock ticks since the boot (proc(5), field 22 of stat); empty if it ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    state, ticks = fields[0], fields[19]
    return "" if state in "ZX" else ticks
