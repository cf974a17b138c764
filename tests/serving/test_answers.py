"""A question is admitted, pinned, answered, bounded and counted; what is wrong is said before the first token."""

import asyncio
from contextlib import aclosing

import pytest

from sealserve.engine.engine import ChatTurn, FinishReason, GenerateRequest, Sampling
from sealserve.errors import DeadlineExceeded, InvalidArgument, NotFound, QuotaExceeded, Unavailable
from sealserve.serving.answers import Question
from sealserve.views import Answering, Ended, Piece
from tests.serving.conftest import Publisher, Server, eventually

HELLO = (ChatTurn(role="user", content="Where is the harbour office?"),)
QUESTION = Question(tenant="acme", turns=HELLO)


async def test_stream_names_the_version_first_then_text_then_the_end(server: Server) -> None:
    server.engine.answers[(None, HELLO[0].content)] = "By the pier"
    events = [event async for event in server.answers.stream(QUESTION)]
    assert [type(event) for event in events] == [Answering, Piece, Piece, Piece, Ended]
    assert "".join(event.text for event in events if isinstance(event, Piece)) == "By the pier"
    last = events[-1]
    assert isinstance(last, Ended)
    assert (last.finish, last.usage.completion_tokens) == (FinishReason.STOP, 3)
    first = events[0]
    assert isinstance(first, Answering)
    assert first.prompt_tokens == last.usage.prompt_tokens > 0
    assert first.base_digest == (await server.engine.info()).base_digest


async def test_unknown_tenant_is_not_found_and_never_reaches_the_engine(server: Server) -> None:
    with pytest.raises(NotFound):
        await server.answers.answer(Question(tenant="nobody", turns=HELLO))
    assert server.engine.requests == []


async def test_each_tenant_has_its_own_salt(server: Server) -> None:
    for tenant in ("acme", "globex", "acme"):
        await server.answers.answer(Question(tenant=tenant, turns=HELLO))
    salts = [request.cache_salt for request in server.engine.requests]
    assert salts[0] == salts[2] != salts[1]
    assert "acme" not in salts[0]


async def test_bad_sampling_is_refused_before_the_first_event(server: Server) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await server.answers.answer(Question(tenant="acme", turns=HELLO, sampling=Sampling(top_p=0)))
    assert refused.value.field == "top_p"
    assert server.admission.running == 0


async def test_deadline_ends_the_call_and_frees_the_sequence(server: Server) -> None:
    server.engine.is_deaf = True
    with pytest.raises(DeadlineExceeded):
        await server.answers.answer(Question(tenant="acme", turns=HELLO, deadline_seconds=0.05))
    assert len(server.engine.aborted) == 1
    assert server.admission.running == 0


async def test_deadline_already_past_never_reaches_the_engine(server: Server) -> None:
    with pytest.raises(DeadlineExceeded):
        await server.answers.answer(Question(tenant="acme", turns=HELLO, deadline_seconds=0))
    assert server.admission.running == 0


async def test_reader_that_goes_away_frees_the_sequence(server: Server) -> None:
    async with aclosing(server.answers.stream(QUESTION)) as events:
        await anext(events)
    assert len(server.engine.aborted) == 1
    assert server.admission.running == 0


async def test_cancelled_call_frees_the_sequence(server: Server) -> None:
    server.engine.gate.clear()
    call = asyncio.create_task(server.answers.answer(QUESTION))
    await eventually(lambda: server.engine.requests)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(server.engine.aborted) == 1
    assert server.admission.running == 0


async def test_tenant_over_its_queue_is_refused_and_others_are_not(server: Server) -> None:
    server.engine.gate.clear()
    calls = [asyncio.create_task(server.answers.answer(QUESTION)) for _ in range(6)]
    await eventually(lambda: server.admission.waiting == 2)
    with pytest.raises(QuotaExceeded):
        await server.answers.answer(QUESTION)
    other = asyncio.create_task(server.answers.answer(Question(tenant="globex", turns=HELLO)))
    await eventually(lambda: server.admission.waiting == 3)
    server.engine.gate.set()
    assert len(await asyncio.gather(*calls, other)) == 7


async def test_read_your_own_promotion_waits_for_it(server: Server, publisher: Publisher) -> None:
    version = publisher.publish("acme")
    mine = Question(tenant="acme", turns=HELLO, min_activation=1)
    with pytest.raises(Unavailable) as refused:
        await server.answers.answer(mine)
    assert refused.value.reason == "NOT_YET_ACTIVE"
    await server.activator.settle()
    assert (await server.answers.answer(mine)).version == version.version


async def test_dead_engine_is_unavailable(server: Server) -> None:
    server.engine.die()
    with pytest.raises(Unavailable):
        await server.answers.answer(QUESTION)


async def test_tokens_are_counted_for_known_tenants_only(server: Server) -> None:
    assert await server.answers.count_tokens("acme", HELLO) > 0
    with pytest.raises(NotFound):
        await server.answers.count_tokens("nobody", HELLO)


async def test_tenants_go_before_background_calls(server: Server) -> None:
    await server.answers.answer(QUESTION)
    request = server.engine.requests[0]
    assert isinstance(request, GenerateRequest)
    assert request.priority == 0
