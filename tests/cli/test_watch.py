"""`watch` and `adapter traffic`: what they print and how they end."""

import pytest

from sealserve.cli.adapter import shares_of
from sealserve.errors import InvalidArgument
from sealserve.records.rollouts import Count
from tests.cli.site import Site


def test_watch_is_shown_with_its_signals_and_listed(site: Site) -> None:
    site.world.version()
    site.world.version()
    assert site.world.registry.rollouts.open("acme", share=0.0) is not None
    site.world.registry.rollouts.add_counts("one", {("acme", 2): {Count.PAIRS: 40, Count.WORSE: 3}})
    shown = site.run("watch", "show", "acme")
    assert "quality" in shown.out
    assert "e-value" in shown.out
    told = site.json("watch", "show", "acme", "--activation", "2")
    assert told["watch"]["counts"]["pairs"] == 40
    assert told["limit"] == 20
    assert site.json("watch", "list", "acme")["watches"][0]["watch"]["state"] == "open"


def test_traffic_is_set_and_shown(site: Site) -> None:
    site.world.version()
    site.world.version()
    told = site.json("adapter", "traffic", "acme", "--weight", "v2=0.9,v1=0.1", "--no-wait")
    assert told["shares"] == {"1": 0.1, "2": 0.9}
    assert site.json("adapter", "traffic", "acme")["activation"] == 3
    assert site.run("adapter", "traffic", "acme", "--weight", "v2=0.9", "--no-wait").code == 2


@pytest.mark.parametrize("weight", ["v2", "v2=much", "two=0.5", "v2=0.5,v2=0.5", "=1"])
def test_weight_that_is_none_is_refused(weight: str) -> None:
    with pytest.raises(InvalidArgument):
        shares_of(weight)
