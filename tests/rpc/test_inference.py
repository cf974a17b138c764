"""Answers over the wire: their shape, their bounds, and what frees a sequence."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import grpc
import grpc.aio
import pytest

from sealserve.client import AsyncClient
from sealserve.engine.engine import Delta
from sealserve.errors import DeadlineExceeded, InvalidArgument, NotFound, Unavailable
from sealserve.records.inference import ChatTurn, EngineState, FinishReason
from sealserve.records.reports import Answering, Ended, Piece
from sealserve.serving.adapter_table import Route
from sealserve.v1 import common_pb2, inference_pb2, inference_pb2_grpc
from sealserve.wire.statuses import from_rpc_error
from tests.fakes import BASE_DIGEST
from tests.rpc.harness import ADMIN_SECRET, BEARER, Served, served, settings, until


async def test_answer_names_version_base_and_cost(here: Served) -> None:
    here.engine.answers[None, "Where?"] = "By the pier."
    answer = await here.client.ask("acme", "Where?", request_id="r-1")
    assert (answer.text, answer.finish, answer.version) == ("By the pier.", FinishReason.STOP, 0)
    assert answer.answering.request_id == "r-1"
    assert answer.answering.base_digest == BASE_DIGEST
    assert answer.usage.completion_tokens == 3
    assert (
        answer.usage.prompt_tokens == answer.answering.prompt_tokens == await here.client.count_tokens("acme", "Where?")
    )


async def test_stream_is_metadata_then_pieces_then_the_end(here: Served) -> None:
    here.engine.answers[None, "Where?"] = "By the pier."
    events = [event async for event in here.client.stream("acme", "Where?")]
    assert isinstance(events[0], Answering)
    assert "".join(event.text for event in events[1:-1] if isinstance(event, Piece)) == "By the pier."
    assert isinstance(events[-1], Ended)
    assert events[-1].usage.completion_tokens == 3


async def test_conversation_is_handed_on_whole(here: Served) -> None:
    turns = (ChatTurn(role="system", content="Be brief."), ChatTurn(role="user", content="Where?"))
    await here.client.ask("acme", turns, seed=0, stop=("\n",), temperature=0.5, top_p=0.9, max_tokens=7)
    asked = here.engine.requests[-1]
    assert asked.turns == turns
    sampling = getattr(asked, "sampling", None)
    assert sampling is not None
    assert (sampling.seed, sampling.stop, sampling.temperature, sampling.max_tokens) == (0, ("\n",), 0.5, 7)


async def test_answers_are_held_to_choices_a_pattern_or_a_schema(here: Served) -> None:
    schema = '{"properties": {"open": {"type": "boolean"}}, "required": ["open"], "type": "object"}'
    assert (await here.client.ask("acme", "Open?", choice=("yes", "no"))).text in ("yes", "no")
    assert (await here.client.ask("acme", "When?", regex="[0-9]{4}")).text == "0000"
    pieces = [event async for event in here.client.stream("acme", "Open?", json_schema=schema)]
    assert "".join(piece.text for piece in pieces if isinstance(piece, Piece)) == '{"open":true}'


async def test_unset_sampling_takes_defaults_and_zero_is_a_value(here: Served) -> None:
    async with grpc.aio.insecure_channel(here.address) as channel:
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        message = common_pb2.Message(role=common_pb2.ROLE_USER, content="Where?")
        await stub.Generate(inference_pb2.GenerateRequest(parent="tenants/acme", messages=[message]), metadata=BEARER)
        assert here.engine.requests[-1].sampling.max_tokens == 256  # type: ignore[union-attr]
        zero = inference_pb2.GenerateRequest(
            parent="tenants/acme", messages=[message], sampling=common_pb2.Sampling(max_tokens=0)
        )
        with pytest.raises(grpc.RpcError) as refused:
            await stub.Generate(zero, metadata=BEARER)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"temperature": -1.0}, "sampling.temperature"),
        ({"temperature": float("nan")}, "sampling.temperature"),
        ({"top_p": 0.0}, "sampling.top_p"),
        ({"top_p": 1e300}, "sampling.top_p"),
        ({"max_tokens": -5}, "sampling.max_tokens"),
        ({"choice": ("yes", "")}, "sampling.choice"),
        ({"regex": "(?!no)"}, "sampling.regex"),
        ({"json_schema": "{}", "choice": ("yes",)}, "sampling.json_schema"),
        ({"seed": -1}, "sampling.seed"),
        ({"stop": ("",)}, "sampling.stop"),
        ({"stop": ("x",) * 17}, "sampling.stop"),
    ],
)
async def test_absurd_sampling_is_refused_by_name(here: Served, changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await here.client.ask("acme", "Where?", **changes)  # type: ignore[arg-type]
    assert refused.value.field == field
    assert here.engine.requests == []


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "messages"),
        ([common_pb2.Message(content="hi")], "messages[0].role"),
        ([common_pb2.Message(role=9, content="hi")], "messages[0].role"),  # type: ignore[arg-type]
        ([common_pb2.Message(role=common_pb2.ROLE_USER)], "messages[0].content"),
        ([common_pb2.Message(role=common_pb2.ROLE_ASSISTANT, content="hi")], "messages"),
        ([common_pb2.Message(role=common_pb2.ROLE_USER, content="hi")] * 1025, "messages"),
        ([common_pb2.Message(role=common_pb2.ROLE_USER, content="x" * 600)], "messages"),
    ],
)
async def test_malformed_conversation_is_refused_by_name(
    here: Served, messages: list[common_pb2.Message], field: str
) -> None:
    request = inference_pb2.GenerateRequest(parent="tenants/acme", messages=messages)
    async with grpc.aio.insecure_channel(here.address) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            await inference_pb2_grpc.InferenceServiceStub(channel).Generate(request, metadata=BEARER)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    told = from_rpc_error(refused.value, address=here.address)
    assert isinstance(told, InvalidArgument)
    assert told.field == field
    assert here.engine.requests == []


async def test_unknown_tenant_reads_the_same_on_every_call(here: Served) -> None:
    told = []
    for call in (
        here.client.ask("nobody", "Hi"),
        here.client.count_tokens("nobody", "Hi"),
        here.client.tenant("nobody"),
    ):
        with pytest.raises(NotFound) as refused:
            await call
        told.append((refused.value.message, refused.value.resource))
    assert len(set(told)) == 1
    assert told[0][1] == "tenants/nobody"


async def test_closing_a_stream_midway_frees_the_sequence(here: Served) -> None:
    here.engine.gate.clear()
    here.engine.answers[None, "Go on"] = "word " * 200
    stream = here.client.stream("acme", "Go on", request_id="gone")
    waiting = asyncio.ensure_future(anext(stream))
    await until(lambda: bool(here.engine.requests))
    waiting.cancel()
    await until(lambda: here.engine.aborted == ["gone"])
    here.engine.gate.set()
    assert (await here.client.ask("acme", "Where?")).text


async def test_caller_who_waits_no_longer_frees_the_sequence(here: Served) -> None:
    here.engine.gate.clear()
    async with AsyncClient(here.address, token=ADMIN_SECRET, timeout_seconds=0.2) as hasty:
        with pytest.raises(DeadlineExceeded):
            await hasty.ask("acme", "Where?", request_id="hasty")
    await until(lambda: here.engine.aborted == ["hasty"])


async def test_deadline_already_past_is_refused_before_the_engine_hears_of_it(here: Served) -> None:
    async with AsyncClient(here.address, token=ADMIN_SECRET, timeout_seconds=0) as late:
        with pytest.raises(DeadlineExceeded):
            await late.ask("acme", "Where?")
    assert here.engine.requests == []


async def test_call_without_a_deadline_gets_the_servers(tmp_path: Path) -> None:
    async with served(tmp_path, serve=settings(default_deadline_seconds=0.2)) as here:
        here.engine.gate.clear()
        async with grpc.aio.insecure_channel(here.address) as channel:
            message = common_pb2.Message(role=common_pb2.ROLE_USER, content="Where?")
            request = inference_pb2.GenerateRequest(parent="tenants/acme", messages=[message])
            with pytest.raises(grpc.RpcError) as late:
                await inference_pb2_grpc.InferenceServiceStub(channel).Generate(request, metadata=BEARER)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "0.2 s" in str(late.value.details())
        assert here.answers.deadlines == [0.2]
        assert len(here.engine.aborted) == 1


async def test_reader_that_stops_reading_is_cut_off_and_its_sequence_freed(tmp_path: Path) -> None:
    freed = asyncio.Event()

    async def flood(tenant: str, *_: object, **__: object) -> AsyncGenerator[Route | Delta, None]:
        yield Route(tenant=tenant, version=0, activation=0, engine_name=None)
        try:
            for count in range(1, 200):
                yield Delta(text="x" * 50_000, completion_tokens=count, prompt_tokens=1, cached_tokens=0)
            await asyncio.Event().wait()
        finally:
            freed.set()

    async with served(tmp_path, idle_write_seconds=0.3) as here:
        here.answers.stream = flood  # type: ignore[method-assign]
        async with aclosing(here.client.stream("acme", "Flood")) as stream:
            assert isinstance(await anext(stream), Answering)
            await asyncio.wait_for(freed.wait(), timeout=30)
            with pytest.raises(DeadlineExceeded) as told:
                _ = [event async for event in stream]
        assert told.value.reason == "READER_TOO_SLOW"
        assert (await here.client.tenant("acme")).tenant == "acme"


async def test_tokens_that_come_fast_travel_together_and_the_first_does_not_wait(here: Served) -> None:
    more = asyncio.Event()

    async def burst(tenant: str, *_: object, **__: object) -> AsyncGenerator[Route | Delta, None]:
        yield Route(tenant=tenant, version=0, activation=0, engine_name=None)
        for count in range(1, 401):
            if count == 2:
                await more.wait()
            finish = FinishReason.STOP if count == 400 else None
            yield Delta(text=f"{count} ", completion_tokens=count, prompt_tokens=1, cached_tokens=0, finish=finish)

    here.answers.stream = burst  # type: ignore[method-assign]
    async with aclosing(here.client.stream("acme", "Burst")) as events:
        assert isinstance(await anext(events), Answering)
        first = await anext(events)
        more.set()
        rest = [event async for event in events]
    pieces = [first, *rest[:-1]]
    assert first == Piece(text="1 ", completion_tokens=1)
    assert "".join(piece.text for piece in pieces if isinstance(piece, Piece)) == "".join(
        f"{n} " for n in range(1, 401)
    )
    assert len(pieces) < 40
    assert isinstance(rest[-1], Ended)
    assert rest[-1].usage.completion_tokens == 400


async def test_replica_that_has_not_activated_yet_says_when_to_ask_again(here: Served) -> None:
    with pytest.raises(Unavailable) as early:
        await here.client.ask("acme", "Where?", min_activation=3)
    assert early.value.reason == "NOT_YET_ACTIVE"
    assert early.value.retry_seconds > 0
    here.answers.activation = 3
    assert (await here.client.ask("acme", "Where?", min_activation=3)).answering.activation == 3


async def test_server_info_names_no_tenant(here: Served) -> None:
    info = await here.client.engine_info()
    assert (info.model, info.engine_state, info.base_digest) == ("fake", EngineState.SERVING, BASE_DIGEST)
    assert "acme" not in str(info)


async def test_prompt_larger_than_a_message_is_refused_before_it_is_sent(here: Served) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await here.client.ask("acme", "x" * 2**21)
    assert refused.value.reason == "TOO_LARGE"


async def test_conversation_that_cannot_fit_is_refused_before_it_waits_or_is_tokenised(here: Served) -> None:
    here.engine.max_prompt_characters = 2000
    for call in (here.client.ask("acme", "x" * 2001), here.client.count_tokens("acme", "x" * 2001)):
        with pytest.raises(InvalidArgument) as refused:
            await call
        assert refused.value.reason == "PROMPT_TOO_LONG"
    assert (here.answers.deadlines, here.engine.requests) == ([], [])
    assert await here.client.count_tokens("acme", "x" * 2000)
