"""Two versions of a tenant: weights, sticky keys, and what stays loaded."""

import pytest

from sealserve.errors import Unavailable
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
    assert made.is_routed("v1")
    assert made.is_routed("v2")
    with made.pin("acme", key="x"):
        assert (made.pins("v2"), made.pins("v1")) == (1, 0)
        with made.held(route(1)):
            assert made.pins("v1") == 1
    assert (made.pins("v2"), made.pins("v1")) == (0, 0)


def test_standby_that_gets_requests_or_answers_one_is_never_dropped_for_room() -> None:
    assert list(table(0.1).idle_standbys(first="acme")) == []
    idle = table(0.0)
    with idle.held(route(1)):
        assert list(idle.idle_standbys(first="acme")) == []
    assert [standby.route.version for standby in idle.idle_standbys(first="globex")] == [1]
    idle.drop_standby("acme")
    assert idle.is_routed("v2")
    assert not idle.is_routed("v1")


def test_withdrawn_tenant_is_refused_until_it_has_a_route_again_and_running_requests_keep_theirs() -> None:
    made = table(0.1)
    with made.pin("acme", key="x") as running:
        made.withdraw("acme")
        assert made.pins(running.engine_name or "") == 1
        with pytest.raises(Unavailable) as refused, made.pin("acme", key="x"):
            pass
    assert (refused.value.reason, refused.value.retry_seconds) == ("ADAPTER_LOADING", 1.0)
    assert not made.is_routed("v1")
    assert not made.is_routed("v2")
    with made.pin("globex") as other:
        assert other.version == 0
    made.swap(route(1))
    assert chosen(made, "x") == 1
