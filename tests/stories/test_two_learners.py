"""Two learning processes on one PostgreSQL; one is stopped past its lease and goes on: what it does then is refused."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from sealserve.local_tokens import internal_secret
from sealserve.records.cycles import Cycle, CycleState, Step
from sealserve.records.documents import NewDocument
from sealserve.registry.registry import Registry
from sealserve.rpc.server import RpcServer
from sealserve.settings.learn import learn_settings
from sealserve.settings.settings import RegistrySettings, Settings
from tests.forking import start_child
from tests.registry.postgres import NEEDS_SERVER, Server
from tests.rpc.harness import settings as serve_settings
from tests.stories import worker
from tests.stories.student import Student, article

TENANT = "acme"
STOPPED = {
    "from outside, while the model writes": "",
    "with a trained candidate that is not recorded": "artifacts.put_directory.after_rename:stop",
    "inside the transaction that promotes": "registry.cycles.record_step.before_commit:stop:8",
}


class Site:
    """One registry, one engine, and learning processes that come and go."""

    def __init__(self, directory: Path, url: str) -> None:
        self.directory = directory
        self.settings = Settings(
            data_directory=directory,
            registry=RegistrySettings(url=url, lease_seconds=2),
            learn=learn_settings(
                study__edits_per_template=3,
                study__judge=False,
                study__qa_edits=3,
                quiz__edits=8,
                gather_seconds=0.2,
                max_attempts=50,
                training__candidates=2,
            ),
        )
        self.registry = Registry.open(url, self.settings.artifact_directory)
        self.engine = Student()
        self.address = ""

    @contextmanager
    def learner(self, name: str, *, fault: str = "") -> Iterator[BaseProcess]:
        """Run a learning process; its log is NAME.log."""
        environment = {
            **self.settings.as_environment(),
            "SEALSERVE_LEARN__ENGINE_ADDRESS": self.address,
            "SEALSERVE_FAULT": fault,
            "CUDA_VISIBLE_DEVICES": "",
        }
        log = self.directory / f"{name}.log"
        process = start_child(worker.main, name, environment=environment, paths=(log, log))
        try:
            yield process
        finally:
            process.kill()
            process.join()

    def log(self, name: str) -> str:
        """What the process has said so far."""
        return (self.directory / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def add(self, title: str, *, shift: int = 0) -> None:
        """Keep an article about `title`."""
        text = article(title, shift=shift)
        self.registry.documents.add(
            TENANT, NewDocument(title=title, text=text, source="test", media_type="text/plain"), actor="test"
        )

    def cycles(self) -> list[Cycle]:
        """Return the tenant's cycles, the newest first."""
        return list(self.registry.cycles.page(TENANT).items)

    def everything(self) -> tuple[object, ...]:
        """Return all that a late write could have changed."""
        registry = self.registry
        steps = [registry.cycles.steps(cycle.cycle) for cycle in self.cycles()]
        documents, versions = registry.documents.page(TENANT).items, registry.versions.page(TENANT).items
        return (registry.tenants.get(TENANT), steps, documents, versions, registry.audit.head(), self.cycles())


@asynccontextmanager
async def opened(directory: Path, url: str) -> AsyncIterator[Site]:
    """Serve the engine of a site over gRPC."""
    site = Site(directory, url)
    site.registry.tenants.create(TENANT, actor="test")
    await site.engine.start()
    server = RpcServer(serve_settings(), find_token=site.registry.tokens.find)
    server.add_engine_service(site.engine, materialise=site.registry.artifacts.materialise)
    internal_secret(directory, site.registry.tokens.enrol)
    site.address = f"127.0.0.1:{await server.start()}"
    yield site
    await server.stop()
    site.registry.close()


@pytest.mark.slow
@NEEDS_SERVER
@pytest.mark.pg
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", STOPPED.values(), ids=list(STOPPED))
async def test_a_learner_that_was_stopped_past_its_lease_changes_nothing(
    postgres: Server, tmp_path: Path, fault: str
) -> None:
    async with opened(tmp_path, postgres.new_database()) as site:
        site.engine.gate.clear()  # nothing is written yet
        site.add("Varnel Lamp")
        with site.learner("first", fault=fault) as first:
            await until(lambda: [cycle.state for cycle in site.cycles()] == [CycleState.RUNNING])
            await asyncio.wait_for(site.engine.asked.wait(), 300)
            if not fault:
                send(first, signal.SIGSTOP)
            site.engine.gate.set()
            await until(lambda: is_stopped(first))  # nobody else is there yet: on a busy machine it may renew late
            with site.learner("second") as second:
                await until(lambda: site.cycles()[0].state is CycleState.PROMOTED)
                before = site.everything()
                fences = [record.fence for record in site.registry.cycles.steps(site.cycles()[0].cycle)]
                assert fences == sorted(fences)
                assert len(set(fences)) > 1
                send(first, signal.SIGCONT)
                await until(lambda: "cycle.lost" in site.log("first") or "cycle.crashed" in site.log("first"))
                assert site.everything() == before
                second.terminate()
                await until(lambda: second.exitcode == 0)
            site.add("Osk Kettle", shift=2)
            await until(lambda: [cycle.state for cycle in site.cycles()] == [CycleState.PROMOTED] * 2)
            assert first.is_alive()
        tenant = site.registry.tenants.get(TENANT)
        assert (tenant.desired_version, tenant.activation) == (2, 2)
        assert [version.version for version in site.registry.versions.page(TENANT).items] == [2, 1]
        last = site.registry.cycles.steps(site.cycles()[0].cycle)
        assert {record.step for record in last} == set(Step)
        assert site.registry.audit.verify() == site.registry.audit.head()[0]


async def until(holds: Callable[[], bool]) -> None:
    """Return once `holds`; the registry is asked again and again."""
    async with asyncio.timeout(300):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - other processes make it true
            await asyncio.sleep(0.05)


def send(process: BaseProcess, number: signal.Signals) -> None:
    """Send the signal to a process that was started."""
    assert process.pid is not None
    os.kill(process.pid, number)


def is_stopped(process: BaseProcess) -> bool:
    """Return whether the kernel has suspended it (state T, proc_pid_stat(5))."""
    stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8")
    return stat.rpartition(")")[2].split()[0] == "T"
