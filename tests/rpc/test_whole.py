"""The serving side put together as the daemon does it, with a fake engine: a promotion is seen on the wire."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from sealserve.serving.activation.tenant_states import ActivatorSettings
from sealserve.serving.activator import Activator
from sealserve.serving.adapter_table import AdapterTable
from sealserve.serving.admission import Admission
from sealserve.serving.answers import AnswerParts, Answers
from sealserve.serving.salt import TenantSalts
from tests.rpc.harness import Served, served


@asynccontextmanager
async def whole(directory: Path) -> AsyncIterator[Served]:
    async with served(directory) as here:
        here.registry.replicas.announce("r1", identity="r1", address="")
        table = AdapterTable()
        settings = ActivatorSettings(replica="r1", poll_seconds=0.01, rollback_window_seconds=60)
        activator = Activator(here.registry, here.engine, table, settings)
        parts = AnswerParts(
            engine=here.engine,
            table=table,
            admission=Admission(max_running=4, max_queued_per_tenant=4),
            residency=activator.residency,
            salts=TenantSalts.open(directory / "salt.key"),
            find_tenant=here.registry.tenants.get,
        )
        here.answers.stream = Answers(parts, default_deadline_seconds=10).stream  # type: ignore[method-assign]
        await activator.settle()
        running = asyncio.create_task(activator.run())
        yield here
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_promotion_is_seen_in_the_next_answer_and_rollback_takes_it_back(tmp_path: Path) -> None:
    async with whole(tmp_path) as here:
        here.world.version(promote=False)
        before = await here.client.ask("acme", "Where?")
        moved = await here.client.promote("acme", 1)
        await here.client.wait_until_observed("acme", moved.activation)
        after = await here.client.ask("acme", "Where?", min_activation=moved.activation)
        stranger = await here.client.ask("globex", "Where?")
        back = await here.client.rollback("acme")
        await here.client.wait_until_observed("acme", back.activation)
        again = await here.client.ask("acme", "Where?", min_activation=back.activation)
    assert [answer.version for answer in (before, after, stranger, again)] == [0, 1, 0, 0]
    assert after.text != before.text
    assert again.text == before.text == stranger.text


async def test_tenants_prompts_are_salted_apart(tmp_path: Path) -> None:
    async with whole(tmp_path) as here:
        for tenant in ("acme", "globex", "acme"):
            await here.client.ask(tenant, "Where?")
        salts = [replace(request).cache_salt for request in here.engine.requests]
    assert salts[0] == salts[2] != salts[1]
