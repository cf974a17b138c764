"""Devices: which there are, which are spare, and leases that expire."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sealserve.canonical import Json
from sealserve.engine.base_model import BaseShape
from sealserve.errors import LeaseLost, TrainingFailed
from sealserve.learning.training.executors.base import Child, Ended, Room
from sealserve.learning.training.executors.device_leases import CPU, DeviceLeases, devices, held, spare
from sealserve.learning.training.executors.process import ProcessExecutor
from sealserve.learning.training.trainer import ChildTrainer
from sealserve.learning.training_job import EXIT_FAILED
from sealserve.settings.learn import LearnSettings
from tests.learning.multi_lora.test_main import job


class Clock:
    """Time that stands still until told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_visible_devices_are_believed_and_without_any_there_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 3")
    assert devices() == ("2", "3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert devices() == (CPU,)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", "")
    assert devices() == (CPU,)


def test_the_serving_device_is_spare_only_when_told_or_when_it_is_the_cpu() -> None:
    assert spare(("0", "1"), serving="0", may_share=False) == ("1",)
    assert spare(("0",), serving="0", may_share=False) == ()
    assert spare(("0",), serving="0", may_share=True) == ("0",)
    assert spare((CPU,), serving=CPU, may_share=False) == (CPU,)


def test_a_device_is_held_by_one_and_taken_again_when_given_back(tmp_path: Path) -> None:
    leases = DeviceLeases(tmp_path, lease_seconds=60, now=Clock())
    first, second = leases.take(("0", "1")), leases.take(("0", "1"))
    assert first is not None
    assert second is not None
    assert (first.device, second.device) == ("0", "1")
    assert leases.take(("0", "1")) is None
    leases.give_back(first)
    again = leases.take(("0", "1"))
    assert again is not None
    assert again.device == "0"
    assert not list(tmp_path.glob(".*"))


def test_a_silent_holder_loses_the_device_and_its_result_is_refused(tmp_path: Path) -> None:
    clock = Clock()
    leases = DeviceLeases(tmp_path, lease_seconds=60, now=clock)
    lost = leases.take(("0",))
    assert lost
    clock.now += 61
    taken = leases.take(("0",))
    assert taken
    for act in (leases.check, leases.renew):
        with pytest.raises(LeaseLost):
            act(lost)
    leases.give_back(lost)  # changes nothing: the device is another's
    leases.check(taken)


def test_a_renewed_lease_lasts(tmp_path: Path) -> None:
    clock = Clock()
    leases = DeviceLeases(tmp_path, lease_seconds=60, now=clock)
    lease = leases.take(("0",))
    assert lease
    for _ in range(3):
        clock.now += 40
        leases.renew(lease)
    assert leases.take(("0",)) is None


async def test_work_on_a_device_whose_lease_is_lost_is_stopped_and_refused(tmp_path: Path) -> None:
    clock = Clock()
    leases = DeviceLeases(tmp_path, lease_seconds=60, now=clock)

    async def work(*, renew_seconds: float, is_endless: bool) -> None:
        async with held(leases, ("0",), renew_seconds=renew_seconds):
            clock.now += 61  # this process slept
            if is_endless:
                await asyncio.Event().wait()

    with pytest.raises(LeaseLost):
        await work(renew_seconds=0.001, is_endless=True)
    with pytest.raises(LeaseLost):
        await work(renew_seconds=60, is_endless=False)


async def test_a_held_device_is_free_again_whatever_ended_the_work(tmp_path: Path) -> None:
    leases = DeviceLeases(tmp_path, lease_seconds=60, now=Clock())
    with pytest.raises(ZeroDivisionError):
        async with held(leases, ("0",), renew_seconds=60):
            raise ZeroDivisionError
    async with held(leases, ("0",), renew_seconds=60) as lease:
        assert lease.device == "0"
        assert leases.take(("0",)) is None
    assert leases.take(("0",)) is not None


TAKES = """
import sys, pathlib
from sealserve.learning.training.executors.device_leases import DeviceLeases
lease = DeviceLeases(pathlib.Path(sys.argv[1]), lease_seconds=60).take(("0", "1"))
print(lease.device if lease else "none", flush=True)
sys.stdin.read()
"""


def test_of_processes_that_ask_at_once_each_device_has_one_holder_and_a_dead_one_loses_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKES, str(tmp_path)]
    asking = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.stdout.readline().strip() for process in asking if process.stdout]
    assert sorted(said) == ["0", "1", "none", "none"]
    for process in asking:
        process.kill()
        process.communicate()
    assert DeviceLeases(tmp_path, lease_seconds=60).take(("0", "1")) is None
    later = DeviceLeases(tmp_path, lease_seconds=60, now=lambda: time.time() + 61)
    assert later.take(("0",)) is not None


async def test_children_see_the_spare_device_which_is_held_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    executor = ProcessExecutor(LearnSettings(devices="spare"), lease_directory=tmp_path)
    leases = DeviceLeases(tmp_path, lease_seconds=60)
    async with executor.room() as room:
        assert await _visible(room) == "5"
        assert room.places == 1
        assert leases.take(("5",)) is None
    assert leases.take(("5",)) is not None


@pytest.mark.parametrize(
    ("visible", "told", "seen", "is_shared_by_all_cores"),
    [("4,5", "", "4,5", False), ("4,5", "4", "4", False), ("4,5", "cpu", "", True), ("", "spare", "", True)],
)
async def test_children_see_the_serving_device_only_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str, told: str, seen: str, is_shared_by_all_cores: bool
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    async with ProcessExecutor(LearnSettings(devices=told), lease_directory=tmp_path).room() as room:
        assert await _visible(room) == seen
        assert room.places == (room.cores if is_shared_by_all_cores else 1)
    assert not list(tmp_path.iterdir())


async def test_the_only_device_serves_and_is_not_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4")
    executor = ProcessExecutor(LearnSettings(devices="spare"), lease_directory=tmp_path)
    with pytest.raises(TrainingFailed, match="no device is spare"):
        async with executor.room():
            pytest.fail("there is no room")


async def test_children_share_the_threads_and_are_nice(tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path) -> None:
    told: list[Child] = []

    class Listener:
        cores, places, is_elsewhere = 8, 8, False

        async def run(self, child: Child, *, on_progress: Callable[[Json], None]) -> Ended:
            told.append(child)
            return Ended(code=EXIT_FAILED, last_words="")

        @asynccontextmanager
        async def room(self) -> AsyncIterator["Listener"]:
            yield self

        async def close(self) -> None:
            pass

    settings = LearnSettings(threads=6, niceness=7, trainer_processes=3)
    with pytest.raises(TrainingFailed):
        await ChildTrainer(settings, max_rank=8, executor=Listener()).train(
            job(tiny_base, tiny_shape, candidates=5), tmp_path, on_progress=print
        )
    assert [child.threads for child in told] == [2, 2, 2]
    assert {child.environment["OMP_NUM_THREADS"] for child in told} == {"2"}
    assert {child.arguments[child.arguments.index("--niceness") + 1] for child in told} == {"7"}
    assert {child.arguments[child.arguments.index("--children") + 1] for child in told} == {"3"}


async def _visible(room: Room) -> str:
    heard: list[Json] = []
    program = "import json, os; print(json.dumps({'seen': os.environ['CUDA_VISIBLE_DEVICES']}))"
    child = Child(arguments=("-c", program), environment={}, threads=1, max_seconds=60)
    await room.run(child, on_progress=heard.append)
    return str(heard[0]["seen"])
