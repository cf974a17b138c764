"""The abuse figure: what a tenant notices while one caller of another tenant does its worst.

The daemon runs as `sealserve serve` runs it, the bad caller in a process of its own, and the neighbour asks again and
again in this one. Each row compares the neighbour's 99th percentile with the one just before the row.
"""

import asyncio
import json
import math
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sealserve.bench.harness.serving_site import open_site
from sealserve.bench.serving.abuse_rows import LOWEST_PRIORITY, Row, Target, large_suite
from sealserve.client import AsyncClient
from sealserve.daemon.local import LocalDaemon
from sealserve.daemon.workbench import machine
from sealserve.errors import SealserveError
from sealserve.records.principals import Principal, Role
from sealserve.v1 import canary_pb2, canary_pb2_grpc
from sealserve.wire.channels import bearer

BAD, NEIGHBOUR = "abuser", "neighbour"
MAX_TOKENS = 8
SUITES = 25
SUITE_BYTES = 7 * 2**20
PAUSE_SECONDS = 0.05
CALM_SECONDS, ROW_SECONDS = 10.0, 20.0
QUICK_SECONDS = 1.0
LOOK_SECONDS = 0.5
PAGE_BYTES = 4096
WAIT_SECONDS = 60.0
"""How long the bad caller's process may take to start and end, beyond its row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFigures:
    """What the neighbour noticed of one row; `others_p99_ratio` is during over before."""

    before_p99_ms: float
    during_p99_ms: float
    others_p99_ratio: float
    refused: int  # calls of the neighbour
    answers: int
    rss_growth_mib: float
    codes: dict[str, int]  # how the bad caller's calls ended


@dataclass(frozen=True, slots=True, kw_only=True)
class AbuseFigures:
    """`others_p99_ratio` is that of the worst row; `rss_growth_mib` the server's largest growth over its start."""

    others_p99_ratio: float
    worst_row: str
    rss_growth_mib: float
    refused_within_share: int  # calls of the neighbour that failed; has to be 0
    checks_failed: int  # health checks; has to be 0
    answers: int
    seconds: float
    rows: dict[str, RowFigures]
    machine: str
    date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    address: str
    token: str
    pid: int


@dataclass(slots=True)
class _Neighbour:
    """A tenant that asks one question after the other, and how that went."""

    client: AsyncClient
    health: health_pb2_grpc.HealthStub
    checks_failed: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    async def ask_for(self, seconds: float) -> tuple[list[float], int]:
        """Ask for that long; return the seconds of each answer, and how many failed."""
        ends_at, took, failed = time.monotonic() + seconds, list[float](), 0
        while time.monotonic() < ends_at:
            began = time.perf_counter()
            try:
                await self.client.ask(NEIGHBOUR, "Where is the harbour office?", max_tokens=MAX_TOKENS)
            except SealserveError as error:
                failed += 1
                self.failures[error.reason] += 1
            took.append(time.perf_counter() - began)
            await self._check()
            await asyncio.sleep(PAUSE_SECONDS)
        return took, failed

    async def _check(self) -> None:
        try:
            await self.health.Check(health_pb2.HealthCheckRequest(), timeout=10)
        except grpc.aio.AioRpcError:
            self.checks_failed += 1


def run(*, quick: bool = False, rows: Sequence[Row] = tuple(Row), say: Callable[[str], None] = print) -> AbuseFigures:
    """Return the figures of `rows`; `quick` plays seconds of each against a server in this process.

    Raises: EngineFailed.
    """
    with tempfile.TemporaryDirectory(prefix="sealserve-bench-") as name:
        return asyncio.run(_measure(Path(name), quick=quick, wanted=rows, say=say))


async def _measure(directory: Path, *, quick: bool, wanted: Sequence[Row], say: Callable[[str], None]) -> AbuseFigures:
    say("starting the engine")
    started = time.monotonic()
    calm, seconds = (QUICK_SECONDS, QUICK_SECONDS) if quick else (CALM_SECONDS, ROW_SECONDS)
    play = partial(_play, calm_seconds=calm, seconds=seconds, niceness=0 if quick else LOWEST_PRIORITY)
    async with _open(directory, quick=quick) as site, AsyncClient(site.address, token=site.token) as admin:
        target, asker = await _prepare(site, admin, suites=2 if quick else SUITES)
        async with (
            AsyncClient(site.address, token=asker, timeout_seconds=60) as client,
            grpc.aio.insecure_channel(site.address) as channel,
        ):
            neighbour = _Neighbour(client, health_pb2_grpc.HealthStub(channel))
            await neighbour.ask_for(calm)
            rows = {}
            for row in wanted:
                rows[row.value] = found = await play(row, target, neighbour, pid=site.pid)
                say(f"{row.value}: {found.others_p99_ratio:g} x, {found.refused} refused, {found.codes}")
            worst = max(rows, key=lambda row: rows[row].others_p99_ratio)
            if neighbour.failures:
                say(f"the neighbour's failures: {dict(neighbour.failures)}")
            return AbuseFigures(
                others_p99_ratio=rows[worst].others_p99_ratio,
                worst_row=worst,
                rss_growth_mib=max(found.rss_growth_mib for found in rows.values()),
                refused_within_share=sum(found.refused for found in rows.values()),
                checks_failed=neighbour.checks_failed,
                answers=sum(found.answers for found in rows.values()),
                seconds=round(time.monotonic() - started, 1),
                rows=rows,
                machine=machine(),
                date=datetime.now(UTC).date().isoformat(),
            )


@asynccontextmanager
async def _open(directory: Path, *, quick: bool) -> AsyncIterator[_Site]:
    """Run the body with a daemon; the quick run's is in this process, where tests put another engine into it."""
    if quick:
        async with open_site(directory) as here:
            yield _Site(address=here.address, token=here.token, pid=os.getpid())
        return
    with LocalDaemon(directory, command="serve") as daemon:
        await asyncio.to_thread(daemon.wait_until_serving)
        yield _Site(address=daemon.address, token=daemon.token, pid=daemon.pid)


async def _prepare(site: _Site, admin: AsyncClient, *, suites: int) -> tuple[Target, str]:
    """Make both tenants, their tokens, and large suites of the bad one; return the target and the neighbour's token."""
    for tenant in (BAD, NEIGHBOUR):
        await admin.create_tenant(tenant)
    tokens = [
        (await admin.create_token(Principal(name=f"{tenant}/{role}", role=role, tenants=(tenant,))))[1]
        for tenant, role in ((BAD, Role.VIEWER), (BAD, Role.OPERATOR), (NEIGHBOUR, Role.VIEWER))
    ]
    target = Target(address=site.address, tenant=BAD, viewer=tokens[0], operator=tokens[1])
    async with grpc.aio.insecure_channel(site.address) as channel:
        stub = canary_pb2_grpc.CanaryServiceStub(channel)
        for number in range(suites):
            items = await asyncio.to_thread(large_suite, number, bytes_=SUITE_BYTES)
            request = canary_pb2.PutCanarySuiteRequest(parent=target.parent, suite_id="large", items=items)
            await stub.PutCanarySuite(request, metadata=bearer(site.token))
    return target, tokens[2]


async def _play(
    row: Row,
    target: Target,
    neighbour: _Neighbour,
    *,
    pid: int,
    calm_seconds: float,
    seconds: float,
    niceness: int,
) -> RowFigures:
    before, failed_before = await neighbour.ask_for(calm_seconds)
    rss = _rss_mib(pid)
    caller = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sealserve.bench.serving.abuse_rows",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    order = json.dumps({"row": row.value, "target": asdict(target), "seconds": seconds, "niceness": niceness})
    ending = asyncio.ensure_future(caller.communicate(order.encode()))
    during: list[float] = []
    failed, largest, ends_at = failed_before, rss, time.monotonic() + seconds + WAIT_SECONDS
    while not ending.done() and time.monotonic() < ends_at:
        took, more = await neighbour.ask_for(LOOK_SECONDS)
        during += took
        failed += more
        largest = max(largest, _rss_mib(pid))
    if not ending.done():
        caller.kill()
    told, _ = await ending
    return RowFigures(
        before_p99_ms=_p99_ms(before),
        during_p99_ms=_p99_ms(during),
        others_p99_ratio=round(_p99_ms(during) / _p99_ms(before), 2),
        refused=failed,
        answers=len(before) + len(during) - failed,
        rss_growth_mib=round(largest - rss, 1),
        codes=json.loads(told or b"{}"),
    )


def _p99_ms(seconds: list[float]) -> float:
    """Return the 99th percentile (nearest rank) in milliseconds."""
    return round(1000 * sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1], 1)


def _rss_mib(pid: int) -> float:
    """Return the resident memory of the process, without its children's."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * PAGE_BYTES / 2**20
