"""Canary suites over the wire: kept once, shown to their tenant alone, refused with the right status."""

from datetime import UTC, datetime
from pathlib import Path

import grpc
import grpc.aio
import pytest

from sealserve.errors import InvalidArgument, NotFound
from sealserve.records.canary_suites import CanaryItem, CanaryResult
from sealserve.v1 import canary_pb2, canary_pb2_grpc
from tests.rpc.harness import BEARER, Served, served, settings

ITEMS = (
    CanaryItem(item="a", prompt="How many?", answer="45", matcher="numeric", tolerance=1.0),
    CanaryItem(item="b", prompt="Which?", answer="x", matcher="choice", choices=("x", "y"), kind="format"),
    CanaryItem(item="c", prompt="As JSON?", matcher="json_schema", schema='{"type":"object"}', max_tokens=64),
    CanaryItem(item="d", prompt="What code?", matcher="regex", pattern=r"\bA\d\b"),
    CanaryItem(item="e", prompt="Why?", answer="because", matcher="judge"),
)
RESULT = CanaryResult(
    tenant="acme", version=1, suite="tone", suite_version=2, n=40, share=0.9, low=0.8, high=0.95,
    gain=-0.1, gain_low=-0.2, gain_high=0.0, fell=("base",), why="", taken_at=datetime(2026, 11, 21, tzinfo=UTC),
)  # fmt: skip


async def test_a_suite_comes_back_whole_and_its_versions_are_listed(here: Served) -> None:
    kept, is_new = await here.client.put_canary_suite("acme", "tone", ITEMS, request_id="once")
    assert (kept.version, kept.items, is_new) == (1, ITEMS, True)
    assert await here.client.put_canary_suite("acme", "tone", ITEMS, request_id="once") == (kept, False)
    await here.client.put_canary_suite("acme", "tone", ITEMS[:1])
    assert await here.client.canary_suite("acme", "tone", version=1) == kept
    listed = [(one.version, count) async for one, count in here.client.canary_suites("acme")]
    assert listed == [(2, 1), (1, 5)]
    retired = await here.client.retire_canary_suite("acme", "tone", reason="old")
    assert retired.retired_at is not None
    assert await here.client.retire_canary_suite("acme", "tone") == retired


@pytest.mark.parametrize(
    "item",
    [
        CanaryItem(item="z", prompt="q", matcher="regex", pattern="(?=a)b"),
        CanaryItem(item="z", prompt="q", matcher="json_schema", schema="{"),
        CanaryItem(item="z", prompt="q", matcher="numeric", answer="3", tolerance=-1.0),
        CanaryItem(item="z", prompt="q", matcher="numeric", answer="3", tolerance=float("inf")),
        CanaryItem(item="z", prompt="q", matcher="choice", answer="x"),
        CanaryItem(item="z", prompt="q"),
        CanaryItem(item="a", prompt="q", answer="x"),
        CanaryItem(item="z", prompt="q", answer="x", max_tokens=-1),
    ],
)
async def test_a_suite_with_an_item_that_cannot_be_is_refused_whole(here: Served, item: CanaryItem) -> None:
    with pytest.raises(InvalidArgument):
        await here.client.put_canary_suite("acme", "tone", (*ITEMS, item))
    with pytest.raises(NotFound):
        await here.client.canary_suite("acme", "tone")


async def test_the_suites_and_the_trend_of_a_tenant_that_is_none_are_not_found(here: Served) -> None:
    with pytest.raises(NotFound):
        await here.client.put_canary_suite("nobody", "tone", ITEMS)
    with pytest.raises(NotFound):
        await here.client.retire_canary_suite("acme", "tone")
    with pytest.raises(NotFound):
        assert [one async for one in here.client.canary_results("nobody")]


async def test_the_trend_comes_back_whole(here: Served) -> None:
    here.registry.canary_suites.add_results([RESULT])
    assert [one async for one in here.client.canary_results("acme")] == [RESULT]
    assert [one async for one in here.client.canary_results("acme", suite="canary")] == []


async def test_suite_too_large_for_a_stock_client_is_kept_and_not_sent_back(tmp_path: Path) -> None:
    items = [canary_pb2.CanaryItem(item_id=f"i{n}", prompt=f"{n} {'p' * 3900}?", answer="a") for n in range(1200)]
    async with (
        served(tmp_path, serve=settings(max_message_bytes=8 * 2**20)) as here,
        grpc.aio.insecure_channel(here.address) as channel,
    ):
        stub = canary_pb2_grpc.CanaryServiceStub(channel)
        request = canary_pb2.PutCanarySuiteRequest(parent="tenants/acme", suite_id="large", items=items)
        assert request.ByteSize() > 4 * 2**20
        kept = (await stub.PutCanarySuite(request, metadata=BEARER)).canary_suite
        assert (len(kept.items), kept.item_count, kept.version) == (0, 1200, 1)
        assert len(here.registry.canary_suites.get("acme", "large").items) == 1200
