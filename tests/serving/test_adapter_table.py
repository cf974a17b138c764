"""Two versions of a tenant: weights, sticky keys, and what stays loaded."""

import pytest

from sealserve.serving.adapter_table import AdapterTable, Route, Standby

KEYS = [f"user {number}" for number in range(4000)]


def route(version: int) -> Route:
    return Route(tenant="acme", version=version, activation=7, engine_name=f"v{version}" if version else None)


def table(share: float) -> AdapterTable:
    made = AdapterTable()
    made.expect([])
    made.swap(route(2), standby=Standby(route=route(1), share=share))
    return made


def chosen(made: AdapterTable, key: str) -> int:
    with made.pin("acme", key=key) as found:
        return found.version


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_standby_gets_its_share_of_keys(share: float) -> None:
    made = table(share)
    found = sum(chosen(made, key) == 1 for key in KEYS) / len(KEYS)
    assert found == pytest.approx(share, abs=0.03)
    assert (found == share) if share in (0, 1) else True


def test_key_gets_the_same_version_every_time_and_keeps_it_when_its_version_gets_more() -> None:
    little, more = table(0.9), table(0.4)
    before = {key: chosen(little, key) for key in KEYS}
    assert all(chosen(little, key) == version for key, version in before.items())
    assert all(chosen(more, key) == 2 for key, version in before.items() if version == 2)


def test_both_versions_count_as_routed_and_each_pin_is_its_own() -> None:
    made = table(0.0)
    assert made.routed_names() == {"v1", "v2"}
    with made.pin("acme", key="x"):
        assert (made.pins("v2"), made.pins("v1")) == (1, 0)
        with made.held(route(1)):
            assert made.pins("v1") == 1
    assert (made.pins("v2"), made.pins("v1")) == (0, 0)


def test_standby_that_gets_requests_is_never_dropped_for_room() -> None:
    made = table(0.1)
    assert made.drop_idle_standby() is None
    idle = table(0.0)
    dropped = idle.drop_idle_standby()
    assert dropped is not None
    assert dropped.version == 1
    assert idle.routed_names() == {"v2"}
