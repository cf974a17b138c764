"""What every executor promises, on child processes and on a Ray cluster of two nodes."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sealserve.canonical import Json
from sealserve.daemon.learn import executor_of
from sealserve.engine.base_model import BaseShape
from sealserve.errors import BadConfig, TrainingFailed
from sealserve.learning.context import LearnContext
from sealserve.learning.scheduler import Learner
from sealserve.learning.training.executors.base import Child, Ended, Executor, Room
from sealserve.learning.training.executors.ray import RayExecutor, _room
from sealserve.learning.training.trainer import ChildTrainer
from sealserve.learning.training_job import TrainedAdapter, Trainer, TrainingJob, adapter_path
from sealserve.records.cycles import CycleState, Step
from sealserve.settings.learn import LearnSettings
from sealserve.settings.settings import Settings
from tests.learning.conftest import RayNodes
from tests.learning.multi_lora.test_main import job, train_here
from tests.stories.school import TENANT, open_school

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]  # the first one that needs a cluster waits for it

NEVER_RENEWED_SECONDS = 3600.0
"""A lease that is longer than any test: a worker renews it after a third of that."""

FOR_EVER = "import os, json; print(json.dumps({'pid': os.getpid()}), flush=True); os.read(0, 1)"
RENDEZVOUS = """
import pathlib, sys, time
mine, other = map(pathlib.Path, sys.argv[1:])
mine.touch()
while not other.exists():
    time.sleep(0.01)
"""
DRIVER = """
import asyncio, sys
from sealserve.settings.settings import LearnSettings
from sealserve.daemon.learn import executor_of
from sealserve.learning.training.executors.base import Child

async def main(settings, program):
    child = Child(arguments=("-c", program), environment={}, threads=1, max_seconds=600)
    async with executor_of(LearnSettings.model_validate_json(settings)).room() as room:
        await room.run(child, on_progress=lambda report: print(report["pid"], flush=True))

asyncio.run(main(*sys.argv[1:]))
"""
RELEASED = """
import pathlib, sys, time
print("{}", flush=True)
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
"""


@pytest.fixture(params=["process", pytest.param("ray", marks=pytest.mark.ray)])
def settings(request: pytest.FixtureRequest) -> LearnSettings:
    """Of each executor in turn."""
    quiet = LearnSettings(threads=1, niceness=0)
    if request.param == "process":
        return quiet
    nodes = request.getfixturevalue("ray_nodes")
    return quiet.model_copy(update={"executor": "ray", "ray_address": nodes.address})


@pytest_asyncio.fixture
async def executor(settings: LearnSettings) -> AsyncIterator[Executor]:
    made = executor_of(settings)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def ray_executor(ray_nodes: RayNodes) -> AsyncIterator[RayExecutor]:
    made = RayExecutor(LearnSettings(executor="ray", ray_address=ray_nodes.address))
    yield made
    await made.close()


def child(program: str, *arguments: object, **changes: Any) -> Child:
    asked: dict[str, Any] = {"environment": {}, "threads": 1, "max_seconds": 60, **changes}
    return Child(arguments=("-c", program, *map(str, arguments)), **asked)


async def run(executor: Executor, asked: Child, on_progress: Callable[[Json], None] = lambda report: None) -> Ended:
    async with executor.room() as room:
        return await room.run(asked, on_progress=on_progress)


async def test_a_child_is_heard_and_its_files_lie_where_it_was_told(executor: Executor, tmp_path: Path) -> None:
    heard: list[Json] = []
    program = """if True:
        import json, os, pathlib, sys
        print(json.dumps({"step": 1}))
        print("no JSON")
        print(json.dumps({"step": 2}))
        pathlib.Path(sys.argv[1]).write_text(os.environ["COLOUR"] + os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    """
    ended = await run(executor, child(program, tmp_path / "out", environment={"COLOUR": "green"}), heard.append)
    assert ended == Ended(code=0, last_words="")
    assert heard == [{"step": 1}, {"step": 2}]
    assert (tmp_path / "out").read_text() == "green"


@pytest.mark.parametrize(("program", "code"), [("exit(65)", 65), ("import os; os.kill(os.getpid(), 9)", -9)])
async def test_a_child_that_fails_or_is_killed_says_so_once(
    executor: Executor, tmp_path: Path, program: str, code: int
) -> None:
    count = "import sys; open(sys.argv[1], 'a').write('x'); print('a' * 9000 + 'z', file=sys.stderr, flush=True)\n"
    ended = await run(executor, child(count + program, tmp_path / "runs"))
    assert ended.code == code
    assert ended.last_words.endswith("az\n")
    assert len(ended.last_words) <= 2000
    assert (tmp_path / "runs").read_text() == "x"


async def test_a_child_that_takes_too_long_is_killed(executor: Executor) -> None:
    heard: list[Json] = []
    with pytest.raises(TrainingFailed, match="longer than 2 s"):
        await run(executor, child(FOR_EVER, max_seconds=2), heard.append)
    await _is_gone(heard)


async def test_a_cancelled_child_is_killed_and_one_that_waits_is_not_started(executor: Executor) -> None:
    heard: list[Json] = []
    async with executor.room() as room:
        tasks = [asyncio.create_task(room.run(child(FOR_EVER), on_progress=heard.append)) for _ in range(3)]
        await _heard_of(heard, 2)  # the cluster has two places
        for task in tasks:
            task.cancel()
        assert {type(end) for end in await asyncio.gather(*tasks, return_exceptions=True)} == {asyncio.CancelledError}
    await _is_gone(heard)
    assert (await run(executor, child("exit(7)"))).code == 7


async def test_two_children_run_at_once(executor: Executor, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    async with executor.room() as room:
        assert room.places >= 2
        calls = [room.run(child(RENDEZVOUS, *pair), on_progress=print) for pair in ((one, other), (other, one))]
        assert [ended.code for ended in await asyncio.gather(*calls)] == [0, 0]


async def test_a_result_after_the_lease_was_lost_is_refused(executor: Executor, tmp_path: Path) -> None:
    school = open_school(tmp_path / "data")
    await school.student.start()
    school.add("Varnel Lamp")
    slow = _Held(school.teacher, executor, until=tmp_path / "released")
    first = Learner(_never_renewing(school.context, slow), worker="first")
    assert await first.gather() == 1
    losing = asyncio.create_task(first.work_once())
    async with asyncio.timeout(110):
        await slow.started.wait()
    school.clock.now += timedelta(seconds=2 * NEVER_RENEWED_SECONDS)
    school.restart("second")
    cycle = await school.learner.work_once()
    assert cycle is not None
    before = (school.state(), school.registry.audit.head(), school.registry.cycles.steps(cycle.cycle))
    (tmp_path / "released").touch()
    await losing
    assert slow.is_done
    assert (school.state(), school.registry.audit.head(), school.registry.cycles.steps(cycle.cycle)) == before
    assert cycle.state is CycleState.PROMOTED
    fences = {record.step: record.fence for record in before[2]}
    assert fences[Step.CLAIM] < fences[Step.TRAIN] == fences[Step.PUBLISH]
    assert len(school.registry.versions.page(TENANT).items) == 1
    assert school.registry.audit.verify() == before[1][0]
    school.registry.close()


async def test_an_adapter_has_the_same_bytes_wherever_it_was_trained(
    settings: LearnSettings, executor: Executor, tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path
) -> None:
    asked = job(tiny_base, tiny_shape, steps=2)
    heard: list[Json] = []
    trainer = ChildTrainer(settings, max_rank=8, executor=executor)
    (trained,) = await trainer.train(asked, tmp_path / "there", on_progress=heard.append)
    await asyncio.to_thread(train_here, asked, tmp_path / "here")
    weights = [adapter_path(tmp_path / place, 0) / "adapter_model.safetensors" for place in ("here", "there")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert trained.path == weights[1].parent
    assert [report["step"] for report in heard if "step" in report] == [0, 2]


async def test_a_training_child_that_is_killed_fails_the_training(
    settings: LearnSettings, executor: Executor, tiny_base: Path, tiny_shape: BaseShape, tmp_path: Path
) -> None:
    trainer = ChildTrainer(settings, max_rank=8, executor=executor)
    training = asyncio.create_task(trainer.train(job(tiny_base, tiny_shape), tmp_path, on_progress=print))
    async with asyncio.timeout(110):
        while not (children := await asyncio.to_thread(_processes, "multi_lora", str(tmp_path))):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    for child_id in children:
        os.kill(child_id, signal.SIGKILL)
    with pytest.raises(TrainingFailed, match="was killed"):
        await training


async def test_a_child_ends_with_the_process_that_wanted_it(settings: LearnSettings) -> None:
    command = [sys.executable, "-c", DRIVER, settings.model_dump_json(include={"executor", "ray_address"}), FOR_EVER]
    driver = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert driver.stdout is not None
    heard: list[Json] = [{"pid": int(await driver.stdout.readline())}]
    assert _is_there(heard)
    driver.kill()
    await driver.wait()
    await _is_gone(heard)


@pytest.mark.ray
async def test_a_lost_ray_worker_fails_the_training_and_takes_its_child_along(ray_executor: RayExecutor) -> None:
    heard: list[Json] = []

    def kill(report: Json) -> None:
        heard.append(report)
        os.kill(report["parent"], signal.SIGKILL)

    program = FOR_EVER.replace("'pid'", "'parent': os.getppid(), 'pid'")
    with pytest.raises(TrainingFailed, match="the Ray actor that trained was lost"):
        await run(ray_executor, child(program), kill)
    await _is_gone(heard)
    assert len(heard) == 1


@pytest.mark.ray
async def test_a_lost_ray_node_fails_its_training_and_no_other(ray_nodes: RayNodes, ray_executor: RayExecutor) -> None:
    heard: list[Json] = []
    async with ray_executor.room() as room:
        tasks = [asyncio.create_task(room.run(child(FOR_EVER), on_progress=heard.append)) for _ in range(2)]
        await _heard_of(heard, 2)
        await asyncio.to_thread(ray_nodes.lose_one)
        (lost,), (left,) = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=110)
        with pytest.raises(TrainingFailed, match="the Ray actor that trained was lost"):
            lost.result()
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
    await _is_gone(heard)
    ray_nodes.add()


@pytest.mark.ray
async def test_what_a_node_does_not_see_is_named(ray_executor: RayExecutor) -> None:
    with pytest.raises(TrainingFailed, match=r"does not see /nowhere/job\.json"):
        await run(ray_executor, child("exit(0)", reads=(Path("/nowhere/job.json"),)))


@pytest.mark.ray
async def test_a_cluster_that_is_away_fails_the_training_and_is_found_when_it_is_back(ray_nodes: RayNodes) -> None:
    executor = RayExecutor(LearnSettings(executor="ray", ray_address="127.0.0.1:9"))
    with pytest.raises(TrainingFailed, match="no Ray cluster answers"):
        await run(executor, child("exit(0)"))
    executor._address = ray_nodes.address
    assert (await run(executor, child("exit(3)"))).code == 3
    await executor.close()


@pytest.mark.ray
async def test_a_process_in_a_cluster_still_hears_that_it_shall_end(ray_executor: RayExecutor) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    async with ray_executor.room():
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(told.wait(), 20)
    assert loop.remove_signal_handler(signal.SIGTERM)


def test_a_task_takes_one_device_where_there_are_any_and_none_on_cpu() -> None:
    cpu = {"Alive": True, "Resources": {"CPU": 4.0}}
    cuda = {"Alive": True, "Resources": {"CPU": 16.0, "GPU": 4.0}}
    dead = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}
    rooms = [_room(nodes, on_cpu=on_cpu) for nodes, on_cpu in (([cpu, cpu, dead], False), ([cpu, cuda], False))]
    assert [(room.gpus, room.places, room.cores) for room in rooms] == [(0, 8, 4), (1, 1, 4)]
    assert _room([cpu, cuda], on_cpu=True).gpus == 0
    with pytest.raises(RuntimeError):
        _room([dead], on_cpu=True)


def test_ray_gives_devices_itself() -> None:
    assert Settings(learn=LearnSettings(executor="ray", devices="cpu")).learn.devices == "cpu"
    with pytest.raises(ValueError, match="devices names a device"):
        LearnSettings(executor="ray", devices="spare")


def test_ray_that_is_not_installed_is_named_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealserve.learning.training.executors.ray.find_spec", lambda name: None)
    with pytest.raises(BadConfig, match=r"sealserve\[ray\]"):
        RayExecutor(LearnSettings(executor="ray"))


class _Held:
    """A trainer that trains once a child has ended, which waits for the file `until`."""

    def __init__(self, trainer: Trainer, executor: Executor, *, until: Path) -> None:
        self._trainer = trainer
        self._executor = executor
        self._until = until
        self.started = asyncio.Event()
        self.is_done = False

    async def train(
        self, job: TrainingJob, directory: Path, *, on_progress: Callable[[Json], None]
    ) -> tuple[TrainedAdapter, ...]:
        room: Room
        async with self._executor.room() as room:
            held = child(RELEASED, self._until, max_seconds=400)
            ended = await room.run(held, on_progress=lambda report: self.started.set())
        assert ended.code == 0
        self.is_done = True
        return await self._trainer.train(job, directory, on_progress=on_progress)


def _never_renewing(context: LearnContext, trainer: Trainer) -> LearnContext:
    """Return a context whose worker does not notice during a test that its lease was lost: no renewal is due."""
    registry = context.settings.registry.model_copy(update={"lease_seconds": NEVER_RENEWED_SECONDS})
    return replace(context, trainer=trainer, settings=context.settings.model_copy(update={"registry": registry}))


async def _heard_of(heard: list[Json], count: int) -> None:
    async with asyncio.timeout(110):
        while len(heard) < count:  # noqa: ASYNC110 - other processes say it
            await asyncio.sleep(0.01)


async def _is_gone(heard: list[Json]) -> None:
    """Return once every process that was heard of is gone."""
    assert heard
    async with asyncio.timeout(60):
        while _is_there(heard):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _is_there(heard: list[Json]) -> bool:
    return any(b"os.read" in _command(Path(f"/proc/{report['pid']}")) for report in heard)


def _processes(*words: str) -> list[int]:
    """Return the processes whose command line has all of `words`."""
    found = [process for process in Path("/proc").glob("[0-9]*") if process.name != str(os.getpid())]
    return [int(p.name) for p in found if all(word.encode() in _command(p) for word in words)]


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
