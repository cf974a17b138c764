"""When scheduled work runs: on the days that cron lines name, and late rather than never."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import SimpleNamespace
from typing import Any, cast

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from sealserve.learning import scheduler
from sealserve.learning.scheduler import Learner, cron_trigger
from sealserve.settings.settings import load_settings

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)


def _moments(line: str) -> Iterator[datetime]:
    trigger, at = cron_trigger(line), MONDAY
    while True:
        at = trigger.get_next_fire_time(None, at)
        yield at
        at += timedelta(minutes=1)


@pytest.mark.parametrize(
    ("line", "days"),
    [
        ("0 4 * * 0", "Sun 07, Sun 14, Sun 21"), ("0 4 * * 7", "Sun 07, Sun 14, Sun 21"),
        ("0 4 * * 1-5", "Mon 01, Tue 02, Wed 03, Thu 04, Fri 05, Mon 08"), ("0 4 * * 6", "Sat 06, Sat 13"),
        ("@weekly", "Sun 07, Sun 14"), ("0 4 3 * 1", "Mon 01, Wed 03, Mon 08"), ("0 4 3 * *", "Wed 03, Fri 03"),
    ],
)  # fmt: skip
def test_work_runs_on_the_days_that_the_line_names(line: str, days: str) -> None:
    found = islice(_moments(line), days.count(",") + 1)
    assert ", ".join(f"{at:%a %d}" for at in found) == days


async def test_night_that_falls_into_a_busy_moment_runs_late(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = Learner(cast(Any, SimpleNamespace(settings=load_settings())), worker="w")
    nights: list[float] = []
    night, stop = asyncio.Event(), asyncio.Event()

    async def evaluate() -> None:
        nights.append(time.monotonic())
        night.set()

    due = datetime.now(UTC) + timedelta(seconds=0.2)
    monkeypatch.setattr(scheduler, "cron_trigger", lambda line: DateTrigger(due))
    monkeypatch.setattr(learner, "_evaluate_as_leader", evaluate)
    for name in ("_gather_as_leader", "_tidy", "_sweep"):
        monkeypatch.setattr(learner, name, _nothing)
    monkeypatch.setattr(learner, "_work", lambda stop: stop.wait())
    running = asyncio.create_task(learner.run(stop))
    await asyncio.sleep(0)
    busy_until = time.monotonic() + 2.5  # longer than the second's grace that the library gives by itself
    while time.monotonic() < busy_until:
        time.sleep(0.1)  # noqa: ASYNC251 - the loop is busy, or the machine asleep
    await asyncio.wait_for(night.wait(), timeout=30)
    stop.set()
    await running
    assert len(nights) == 1


async def test_many_nights_missed_are_one() -> None:
    runs: list[int] = []
    done = asyncio.Event()
    clock = AsyncIOScheduler(timezone="UTC", job_defaults=scheduler.JOB_DEFAULTS)
    week_ago = datetime.now(UTC) - timedelta(days=7)
    clock.add_job(lambda: runs.append(1), IntervalTrigger(days=1, start_date=week_ago), next_run_time=week_ago)
    clock.add_job(done.set, DateTrigger(datetime.now(UTC)))
    clock.start()
    await asyncio.wait_for(done.wait(), timeout=30)
    clock.shutdown(wait=False)
    assert runs == [1]


@pytest.mark.parametrize(("holds", "nights"), [([True], 1), ([False, True], 1), ([False, False], 0)])
async def test_night_of_a_leader_that_fell_silent_is_the_next_ones(
    monkeypatch: pytest.MonkeyPatch, holds: list[bool], nights: int
) -> None:
    ran: list[object] = []

    async def evaluate(context: object) -> None:
        ran.append(context)

    answers = iter(holds)
    settings = load_settings(overrides={"registry.lease_seconds": 1.01, "learn.gather_seconds": 0.01})
    registry = SimpleNamespace(hold=lambda name, **lease: next(answers))
    monkeypatch.setattr(scheduler, "evaluate_active_versions", evaluate)
    learner = Learner(cast(Any, SimpleNamespace(settings=settings, registry=registry)), worker="w")
    await learner._evaluate_as_leader()
    assert (len(ran), next(answers, None)) == (nights, None)


async def _nothing() -> None:
    return None
