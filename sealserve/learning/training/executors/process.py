"""Runs training children as processes of this machine. A spare CUDA device is held by a lease while they run."""

import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sealserve.canonical import Json
from sealserve.errors import TrainingFailed
from sealserve.learning.training.executors.base import LAST_WORDS_BYTES, Child, Ended, Room
from sealserve.learning.training.executors.device_leases import CPU, DeviceLeases, devices, held, spare
from sealserve.settings.learn import LearnSettings

SPARE = "spare"
"""As learn.devices: whichever device does not serve and nobody trains on."""

LEASE_SECONDS = 60.0
LEASE_DIRECTORY = Path(tempfile.gettempdir()) / f"sealserve-devices-{os.getuid()}"
"""Of the machine, not of an installation: two of them do not train on one device."""


class ProcessExecutor:
    """Child processes of this one, on the device that `learn.devices` names."""

    def __init__(self, settings: LearnSettings, *, lease_directory: Path = LEASE_DIRECTORY) -> None:
        self._devices = settings.devices
        self._lease_directory = lease_directory

    @asynccontextmanager
    async def room(self) -> AsyncIterator[Room]:
        """As `Executor.room`."""
        found = await asyncio.to_thread(devices)
        is_on_cpu = CPU in (self._devices, *found)
        if self._devices != SPARE or is_on_cpu:
            device = "" if self._devices == SPARE else self._devices
            yield ProcessRoom(cores=cores(), places=cores() if is_on_cpu else 1, device=device)
            return
        free = spare(found, serving=found[0], may_share=False)
        if not free:
            raise TrainingFailed("no device is spare: the only one serves; name it in learn.devices to train on it too")
        leases = DeviceLeases(self._lease_directory, lease_seconds=LEASE_SECONDS)
        async with held(leases, free, renew_seconds=LEASE_SECONDS / 4) as lease:
            yield ProcessRoom(cores=cores(), places=1, device=lease.device)

    async def close(self) -> None:
        """As `Executor.close`: nothing is held between rooms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRoom:
    """As `Room`: this machine, and `device` as CUDA_VISIBLE_DEVICES; "" leaves that as it is."""

    cores: int
    places: int
    device: str
    is_elsewhere: bool = False

    async def run(self, child: Child, *, on_progress: Callable[[Json], None]) -> Ended:
        """As `Room.run`. A child ends with this process, too."""
        visible = {} if not self.device else {"CUDA_VISIBLE_DEVICES": "" if self.device == CPU else self.device}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *child.arguments),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env={**os.environ, **child.environment, **visible},
        )
        try:
            async with asyncio.timeout(child.max_seconds):
                _, last_words, code = await asyncio.gather(
                    _listen(process, on_progress), _last_words(process), process.wait()
                )
        except TimeoutError as error:
            raise TrainingFailed(f"training took longer than {child.max_seconds:g} s and was stopped") from error
        finally:
            await _end(process)
        return Ended(code=code, last_words=last_words)


def cores() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0))


async def _listen(process: Process, on_progress: Callable[[Json], None]) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        with suppress(ValueError):
            on_progress(json.loads(line))


async def _last_words(process: Process) -> str:
    tail = b""
    assert process.stderr is not None
    async for line in process.stderr:
        tail = (tail + line)[-LAST_WORDS_BYTES:]
    return tail.decode(errors="replace")


async def _end(process: Process) -> None:
    """Kill the child if it lives, and reap it."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
