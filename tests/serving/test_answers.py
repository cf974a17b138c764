"""A conversation is admitted, pinned, answered, bounded and counted; what is wrong is said before the first token."""

import asyncio
from contextlib import aclosing

import pytest

from sealserve.engine.engine import Delta, GenerateRequest
from sealserve.errors import DeadlineExceeded, InvalidArgument, NotFound, QuotaExceeded, Unavailable
from sealserve.records.inference import FinishReason, Sampling
from sealserve.serving.adapter_table import Route
from tests.serving.conftest import HELLO, Server, eventually


async def test_stream_names_the_route_first_then_gives_the_text(server: Server) -> None:
    server.engine.answers[None, HELLO[0].content] = "By the pier"
    events = [event async for event in server.answers.stream("acme", HELLO, Sampling())]
    assert [type(event) for event in events] == [Route, Delta, Delta, Delta]
    assert "".join(event.text for event in events if isinstance(event, Delta)) == "By the pier"
    last = events[-1]
    assert isinstance(last, Delta)
    assert (last.finish, last.completion_tokens) == (FinishReason.STOP, 3)


async def test_unknown_tenant_is_not_found_and_never_reaches_the_engine(server: Server) -> None:
    with pytest.raises(NotFound):
        await server.ask("nobody")
    assert server.engine.requests == []


async def test_each_tenant_has_its_own_salt(server: Server) -> None:
    for tenant in ("acme", "globex", "acme"):
        await server.ask(tenant)
    salts = [request.cache_salt for request in server.engine.requests]
    assert salts[0] == salts[2] != salts[1]
    assert "acme" not in salts[0]


async def test_bad_sampling_is_refused_before_the_first_event(server: Server) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await server.ask("acme", sampling=Sampling(top_p=0))
    assert refused.value.field == "top_p"
    assert server.admission.running == 0


async def test_deadline_ends_the_call_and_frees_the_sequence(server: Server) -> None:
    server.engine.is_deaf = True
    with pytest.raises(DeadlineExceeded):
        await server.ask("acme", deadline_seconds=0.05)
    assert len(server.engine.aborted) == 1
    assert server.admission.running == 0


async def test_deadline_already_past_never_reaches_the_engine(server: Server) -> None:
    with pytest.raises(DeadlineExceeded):
        await server.ask("acme", deadline_seconds=0)
    assert server.admission.running == 0


async def test_reader_that_goes_away_frees_the_sequence(server: Server) -> None:
    async with aclosing(server.answers.stream("acme", HELLO, Sampling())) as events:
        await anext(events)
    assert len(server.engine.aborted) == 1
    assert server.admission.running == 0


async def test_cancelled_call_frees_the_sequence(server: Server) -> None:
    server.engine.gate.clear()
    call = asyncio.create_task(server.ask("acme"))
    await eventually(lambda: server.engine.requests)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(server.engine.aborted) == 1
    assert server.admission.running == 0


async def test_tenant_over_its_queue_is_refused_and_others_are_not(server: Server) -> None:
    server.engine.gate.clear()
    calls = [asyncio.create_task(server.ask("acme")) for _ in range(6)]
    await eventually(lambda: server.admission.waiting == 2)
    with pytest.raises(QuotaExceeded):
        await server.ask("acme")
    other = asyncio.create_task(server.ask("globex"))
    await eventually(lambda: server.admission.waiting == 3)
    server.engine.gate.set()
    assert len(await asyncio.gather(*calls, other)) == 7


async def test_dead_engine_is_unavailable(server: Server) -> None:
    server.engine.die()
    with pytest.raises(Unavailable):
        await server.ask("acme")


async def test_tenants_go_before_background_calls(server: Server) -> None:
    await server.ask("acme")
    request = server.engine.requests[0]
    assert isinstance(request, GenerateRequest)
    assert request.priority == 0
