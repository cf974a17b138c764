"""A server's entry among the replicas: one name, one process."""

import asyncio
import os
import subprocess
import sys

import pytest

from sealserve.errors import BadConfig, StorageFailed
from sealserve.registry.registry import Registry
from sealserve.serving.presence import Presence, has_ended, process_identity
from sealserve.settings.serve import ServeSettings
from tests.serving.conftest import eventually


def presence(registry: Registry, *, name: str = "east") -> Presence:
    return Presence(registry.replicas, name=name, address="host:1", heartbeat_seconds=0.001, look_seconds=0.001)


def identity_of_one_that_ended() -> str:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        identity = process_identity(child.pid)
        assert not has_ended(identity)
        child.kill()
        child.wait()
    return identity


def test_process_that_ended_is_known_to_have_and_one_elsewhere_is_not() -> None:
    identity = identity_of_one_that_ended()
    assert has_ended(identity)
    assert not has_ended(process_identity(os.getpid()))
    assert not has_ended("another-boot:1/" + identity.partition("/")[2])


async def test_server_is_a_replica_from_its_announcement_to_its_end(registry: Registry) -> None:
    own = presence(registry)
    await own.announce()
    (entry,) = registry.replicas.alive()
    assert (entry.replica, entry.address) == ("east", "host:1")
    beating = asyncio.create_task(own.run())
    await eventually(lambda: registry.replicas.alive()[0].heartbeat_at > entry.heartbeat_at)
    beating.cancel()
    await own.leave()
    assert registry.replicas.alive() == ()


async def test_second_server_of_a_name_is_refused_and_told_what_to_do(registry: Registry) -> None:
    own = presence(registry)
    registry.replicas.announce("east", identity="elsewhere/1/1", address="other:1")

    async def beat() -> None:
        while True:
            await asyncio.to_thread(registry.replicas.renew, "east", identity="elsewhere/1/1")
            await asyncio.sleep(0.001)

    beating = asyncio.create_task(beat())
    with pytest.raises(BadConfig, match=r"serve\.replica"):
        await own.announce()
    beating.cancel()
    assert [one.identity for one in registry.replicas.alive()] == ["elsewhere/1/1"]


async def test_server_that_was_killed_takes_its_place_back_at_once(registry: Registry) -> None:
    registry.replicas.announce("east", identity=identity_of_one_that_ended(), address="host:1")
    await presence(registry).announce()
    assert [one.identity for one in registry.replicas.alive()] == [process_identity(os.getpid())]


async def test_entry_that_was_removed_is_made_again_and_what_is_observed_recorded_anew(registry: Registry) -> None:
    own = presence(registry)
    lost = asyncio.Event()
    own.on_lost = lost.set
    await own.announce()
    registry.replicas.leave("east", identity=process_identity(os.getpid()))
    beating = asyncio.create_task(own.run())
    await asyncio.wait_for(lost.wait(), 30)
    beating.cancel()
    assert len(registry.replicas.alive()) == 1


async def test_database_that_is_away_ends_no_heartbeat(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    own = presence(registry)
    await own.announce()
    real, failures = registry.replicas.renew, []

    def fail(replica: str, *, identity: str) -> bool:
        failures.append(replica)
        if len(failures) < 3:
            raise StorageFailed("the database is away")
        return real(replica, identity=identity)

    monkeypatch.setattr(registry.replicas, "renew", fail)
    beating = asyncio.create_task(own.run())
    await eventually(lambda: len(failures) > 3)
    assert not beating.done()
    beating.cancel()


def test_default_name_tells_hosts_and_ports_apart_and_stays_the_same() -> None:
    names = [ServeSettings(address=f"127.0.0.1:{port}").replica_name() for port in (7431, 7432, 7431)]
    assert names[0] == names[2] != names[1]
    assert ServeSettings(replica="east").replica_name() == "east"
