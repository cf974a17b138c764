"""Devices: which there are, which are spare, and leases that expire."""

import asyncio
from pathlib import Path

import pytest

from sealserve.errors import LeaseLost
from sealserve.learning.devices import CPU, DeviceLeases, devices, held, spare


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
