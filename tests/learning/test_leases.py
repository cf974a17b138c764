"""Work ends with its lease, and the lease with its work."""

import asyncio
from datetime import UTC, datetime
from typing import cast

import pytest

from sealserve.errors import FailedPrecondition, LeaseLost, StorageFailed
from sealserve.learning.leases import hold_named, under_lease
from sealserve.records.cycles import Claim
from sealserve.registry.registry import Registry

CLAIM = Claim(cycle="c", tenant="acme", worker="w", fence=1, expires_at=datetime(2026, 1, 1, tzinfo=UTC))


class Leases:
    """Answers renewals in turn; the last answer is repeated."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.renewals = 0
        self.renewed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @property
    def cycles(self) -> "Leases":
        """The registry's part that renews claims."""
        return self

    def renew(self, claim: Claim, *, lease_seconds: float) -> Claim:
        self.renewals += 1
        self._loop.call_soon_threadsafe(self.renewed.set)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer:
            raise answer
        return claim


class Names:
    """A registry of named leases that answers in turn; the last answer is repeated."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[float] = []

    def hold(self, name: str, *, holder: str, lease_seconds: float) -> bool:
        self.asked.append(lease_seconds)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def as_registry(leases: Leases | Names) -> Registry:
    return cast(Registry, leases)


async def test_work_that_ends_is_returned_and_renewing_stops() -> None:
    leases = Leases(None)

    async def work() -> str:
        await leases.renewed.wait()
        return "done"

    assert await under_lease(as_registry(leases), CLAIM, work(), lease_seconds=0.03) == "done"
    assert len(asyncio.all_tasks()) == 1


async def test_a_lost_lease_stops_the_work_before_it_is_reported() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(LeaseLost):
        await under_lease(as_registry(Leases(None, LeaseLost("taken"))), CLAIM, work(), lease_seconds=0.03)
    assert ended.is_set()


async def test_a_registry_that_is_away_for_a_moment_does_not_stop_the_work() -> None:
    leases = Leases(StorageFailed("locked"), None)

    async def work() -> int:
        while leases.renewals < 2:
            leases.renewed.clear()
            await leases.renewed.wait()
        return leases.renewals

    assert await under_lease(as_registry(leases), CLAIM, work(), lease_seconds=0.03) >= 2


async def test_what_the_work_raises_is_raised() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await under_lease(as_registry(Leases(None)), CLAIM, work(), lease_seconds=30)


async def test_work_under_a_name_outlives_a_registry_that_is_away_and_ends_when_another_has_the_name() -> None:
    names, ended = Names(True, StorageFailed("locked"), True, False), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    busy = FailedPrecondition("busy")
    with pytest.raises(LeaseLost, match="round"):
        async with hold_named(as_registry(names), "round", lease_seconds=0.03, busy=busy) as lease:
            await lease.during(work())
    assert ended.is_set()
    assert names.asked == [0.03, 0.03, 0.03, 0.03, 0.0]


async def test_a_name_that_is_taken_is_refused_and_not_freed() -> None:
    names = Names(False)
    with pytest.raises(FailedPrecondition, match="busy"):
        async with hold_named(as_registry(names), "round", lease_seconds=30, busy=FailedPrecondition("busy")):
            raise AssertionError
    assert names.asked == [30]
