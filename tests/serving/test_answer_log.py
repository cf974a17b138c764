"""Which version gave which answer is written behind the answers' backs, and survives a registry that is away."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import pytest

from sealserve.errors import StorageFailed
from sealserve.records.feedback import GivenAnswer
from sealserve.serving.adapter_table import Route
from sealserve.serving.answer_log import AnswerLog
from tests.rpc.harness import until

ROUTE = Route(tenant="acme", version=3, activation=7, engine_name="acme@v3")


class Kept:
    """A registry that is away for the first `failures` calls."""

    def __init__(self, *, failures: int = 0) -> None:
        self.failures = failures
        self.is_full = False
        self.rows: list[GivenAnswer] = []
        self.dropped: list[datetime] = []

    def keep(self, rows: Sequence[GivenAnswer]) -> None:
        if self.failures:
            self.failures -= 1
            raise StorageFailed("away")
        self.rows += rows

    def drop(self, before: datetime) -> int:
        self.dropped.append(before)
        if self.is_full:
            raise StorageFailed("full")
        return 0


async def played(log: AnswerLog, kept: Kept, *, rows: int) -> None:
    task = asyncio.create_task(log.run())
    await until(lambda: len(kept.rows) >= rows and bool(kept.dropped))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("failures", [0, 2])
async def test_what_is_noted_is_written_in_order_once_and_old_rows_go(failures: int) -> None:
    kept = Kept(failures=failures)
    log = AnswerLog(kept.keep, kept.drop, days=30, write_seconds=0)
    for number in range(3):
        log.note(f"r{number}", ROUTE, "a1")
    await played(log, kept, rows=3)
    assert [one.answer_request for one in kept.rows] == ["r0", "r1", "r2"]
    assert {(one.tenant, one.version, one.activation, one.asker) for one in kept.rows} == {("acme", 3, 7, "a1")}


async def test_old_rows_that_cannot_be_dropped_stop_nothing() -> None:
    kept = Kept()
    kept.is_full = True
    log = AnswerLog(kept.keep, kept.drop, days=30, write_seconds=0)
    log.note("r0", ROUTE, "a1")
    await played(log, kept, rows=1)
    kept.rows.clear()
    log.note("r1", ROUTE, "a1")
    await played(log, kept, rows=1)
    assert [one.answer_request for one in kept.rows] == ["r1"]


async def test_what_is_noted_last_is_written_at_the_end() -> None:
    kept = Kept()
    log = AnswerLog(kept.keep, kept.drop, days=30, write_seconds=3600)
    task = asyncio.create_task(log.run())
    await asyncio.sleep(0)
    log.note("r", ROUTE, "")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert [one.answer_request for one in kept.rows] == ["r"]


async def test_nothing_is_kept_for_no_days() -> None:
    kept = Kept()
    log = AnswerLog(kept.keep, kept.drop, days=0, write_seconds=0)
    log.note("r", ROUTE, "a1")
    await played(log, kept, rows=0)
    assert kept.rows == []
