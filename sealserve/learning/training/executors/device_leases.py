"""The devices that this machine can train on, and leases on them: files that expire.

Works without torch: the parent knows devices by name only ("0", "1" … for CUDA, or "cpu"). A lease whose holder does
not renew it for `lease_seconds` may be taken by anyone; the former holder learns it from `renew`.
"""

import asyncio
import fcntl
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from sealserve.atomic_files import replace_file
from sealserve.concurrency import first_of
from sealserve.errors import LeaseLost

CPU = "cpu"
QUERY = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")
QUERY_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLease:
    """The right to train on `device` until it is given back or left to expire; `token` tells it from a later one."""

    device: str
    token: str


def devices() -> tuple[str, ...]:
    """Return the devices that this process may use: CUDA_VISIBLE_DEVICES, else what nvidia-smi lists, else the CPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible is not None else _list_cuda_devices()
    return tuple(name.strip() for name in names if name.strip() not in ("", "-1")) or (CPU,)


def spare(found: Sequence[str], *, serving: str, may_share: bool) -> tuple[str, ...]:
    """Return the devices to train on: never the serving one, unless sharing is allowed or it is the CPU.

    On the CPU serving and training share by niceness and threads. Nothing is returned when nothing is spare.
    """
    return tuple(device for device in found if device == CPU or may_share or device != serving)


class DeviceLeases:
    """The leases in one directory, shared by all trainers on this machine."""

    def __init__(self, directory: Path, *, lease_seconds: float, now: Callable[[], float] = time.time) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._seconds = lease_seconds
        self._now = now

    def take(self, wanted: Sequence[str]) -> DeviceLease | None:
        """Return a lease on the first free device of `wanted`, or None when all are held."""
        with self._locked():
            for device in wanted:
                if self._holder(device)[1] <= self._now():
                    lease = DeviceLease(device=device, token=uuid4().hex)
                    self._write(lease)
                    return lease
        return None

    def renew(self, lease: DeviceLease) -> None:
        """Hold the lease for another `lease_seconds`. Raises: LeaseLost (it expired)."""
        with self._locked():
            self.check(lease)
            self._write(lease)

    def check(self, lease: DeviceLease) -> None:
        """Return if the lease still holds: a result of one that does not is refused. Raises: LeaseLost."""
        token, until = self._holder(lease.device)
        if token != lease.token or until <= self._now():
            raise LeaseLost(f"the lease on device {lease.device} expired; its result is refused")

    def give_back(self, lease: DeviceLease) -> None:
        """Free the device, if the lease is still the holder's."""
        with self._locked():
            if self._holder(lease.device)[0] == lease.token:
                self._path(lease.device).unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time look and write; the system frees the lock of one that dies."""
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield
        finally:
            os.close(directory)

    def _holder(self, device: str) -> tuple[str, float]:
        try:
            said = json.loads(self._path(device).read_text())
        except FileNotFoundError:
            return "", 0.0
        return str(said["token"]), float(said["until"])

    def _write(self, lease: DeviceLease) -> None:
        content = json.dumps({"token": lease.token, "until": self._now() + self._seconds})
        replace_file(self._path(lease.device), content.encode())

    def _path(self, device: str) -> Path:
        return self._directory / f"device-{device.replace('/', '_')}.json"


@asynccontextmanager
async def held(leases: DeviceLeases, wanted: Sequence[str], *, renew_seconds: float) -> AsyncIterator[DeviceLease]:
    """Wait for a device of `wanted` and hold it; leaving checks that it was held to the end.

    Raises: LeaseLost (in the body too, which is cancelled: this process was silent for too long).
    """
    while (lease := await asyncio.to_thread(leases.take, wanted)) is None:  # noqa: ASYNC110 - other processes hold it
        await asyncio.sleep(renew_seconds)
    try:
        async with asyncio.TaskGroup() as group:
            renewing = group.create_task(_renew(leases, lease, every=renew_seconds))
            yield lease
            renewing.cancel()
        leases.check(lease)
    except ExceptionGroup as failures:
        raise first_of(failures) from None
    finally:
        leases.give_back(lease)


async def _renew(leases: DeviceLeases, lease: DeviceLease, *, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        leases.renew(lease)


def _list_cuda_devices() -> list[str]:
    try:
        listed = subprocess.run(QUERY, capture_output=True, text=True, timeout=QUERY_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.split()
