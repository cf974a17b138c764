"""The stock OpenAI client works with another base URL, and is told in OpenAI's way what is wrong."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import pytest_asyncio

from sealserve.records.reports import Ended
from tests.gateway.harness import Gateway, gateway
from tests.rpc.harness import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who are you?"}]


@pytest_asyncio.fixture(loop_scope="module")
async def here(shared: Gateway) -> Gateway:
    """One server for all tests; nobody has asked it anything."""
    shared.engine.requests.clear()
    shared.engine.aborted.clear()
    shared.engine.gate.set()
    return shared


@pytest_asyncio.fixture(loop_scope="module")
async def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    """A server whose engine may die."""
    async with gateway(tmp_path, monkeypatch) as running:
        yield running


async def test_chat_answers_as_over_grpc(here: Gateway) -> None:
    async with here.openai(here.token("acme")) as client:
        answer = await client.chat.completions.create(model="acme", messages=QUESTION, temperature=0)
    async with here.grpc() as grpc:
        same = await grpc.ask("acme", "Who are you?")
    assert answer.choices[0].message.content == same.text
    assert answer.choices[0].finish_reason == "stop"
    assert answer.object == "chat.completion"
    assert answer.model == "acme"
    assert answer.system_fingerprint == f"acme@base-{same.answering.base_digest[:12]}"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert [turn.role for turn in here.engine.requests[-2].turns] == ["system", "user"]


async def test_stream_has_a_role_text_an_end_and_its_usage(here: Gateway) -> None:
    async with here.openai() as client:
        whole = await client.chat.completions.create(model="acme", messages=QUESTION, temperature=0)
        stream = await client.chat.completions.create(
            model="acme", messages=QUESTION, temperature=0, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


async def test_events_are_framed_and_the_last_says_done(here: Gateway) -> None:
    body = {"model": "acme", "messages": QUESTION, "stream": True}
    async with here.http() as http:
        answer = await http.post("/v1/chat/completions", json=body, headers={"x-request-id": "mine-1"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-sealserve-model"] == "acme@base"
    assert answer.headers["x-request-id"] == "mine-1"
    *events, done, rest = answer.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    assert {json.loads(event.removeprefix("data: "))["id"] for event in events} == {"mine-1"}


async def test_several_answers_are_told_apart(here: Gateway) -> None:
    async with here.openai() as client:
        asked = {"model": "acme", "messages": QUESTION, "n": 3, "seed": 7}
        whole = await client.chat.completions.create(**asked)
        stream = await client.chat.completions.create(**asked, stream=True)
        texts, ends = ["", "", ""], []
        async for chunk in stream:
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
                ends += [choice.index] if choice.finish_reason else []
    assert [choice.message.content for choice in whole.choices] == texts
    assert len(set(texts)) == 3
    assert sorted(ends) == [0, 1, 2]
    assert whole.usage.completion_tokens == 24


async def test_log_probabilities_come_with_their_bytes(here: Gateway) -> None:
    async with here.openai() as client:
        answer = await client.chat.completions.create(
            model="acme", messages=QUESTION, logprobs=True, top_logprobs=2, max_tokens=3
        )
        legacy = await client.completions.create(model="acme", prompt="Once", logprobs=1, max_tokens=2)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == 3
    assert bytes(tokens[0].bytes).decode() == tokens[0].token
    assert [len(token.top_logprobs) for token in tokens] == [2, 2, 2]
    assert legacy.choices[0].logprobs is not None
    assert legacy.choices[0].logprobs.text_offset == [0, len(legacy.choices[0].logprobs.tokens[0])]


async def test_prompts_are_continued_without_the_template(here: Gateway) -> None:
    async with here.openai() as client:
        answer = await client.completions.create(model="acme", prompt=["One", "Two"], temperature=0)
        stream = await client.completions.create(model="acme", prompt="One", temperature=0, stream=True)
        text = "".join([chunk.choices[0].text async for chunk in stream])
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.choices[0].text == text
    assert {turn.role for request in here.engine.requests for turn in request.turns} == {"prompt"}


async def test_answer_keeps_to_the_form_that_was_asked_for(here: Gateway) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema, "strict": True}}
    async with here.openai() as client:
        answer = await client.chat.completions.create(model="acme", messages=QUESTION, response_format=form)
        chosen = await client.chat.completions.create(
            model="acme", messages=QUESTION, extra_body={"structured_outputs": {"choice": ["yes", "no"]}}
        )
    assert set(json.loads(answer.choices[0].message.content)) == {"city"}
    assert chosen.choices[0].message.content in ("yes", "no")


async def test_models_are_those_that_the_token_may_ask(here: Gateway) -> None:
    async with here.openai(here.token("acme")) as client:
        names = [model.id async for model in client.models.list()]
        shown = await client.models.retrieve("acme@base")
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("globex")
        based = await client.chat.completions.create(model="base", messages=QUESTION)
    async with here.openai() as client:
        every = [model.id async for model in client.models.list()]
    assert names == ["acme", "acme@base"]
    assert shown.owned_by == "acme"
    assert based.system_fingerprint.startswith("acme@base-")
    assert every == ["acme", "globex"]


async def test_hidden_tenant_reads_like_none(here: Gateway) -> None:
    async with here.http(here.token("acme")) as http:
        told = []
        for model in ("globex", "nobody", "globex@v1", "nobody@v1", "globex@base"):
            answer = await http.post("/v1/chat/completions", json={"model": model, "messages": QUESTION})
            assert answer.status_code == 404
            assert answer.json()["error"]["code"] == "model_not_found"
            told.append(answer.text.replace(model.partition("@")[0], "X"))
    assert len(set(told)) == 1
    assert here.engine.requests == []


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 2, "temperature": 0}, "n"),
        ({"n": 99}, "n"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tools": [{"type": "function"}], "tool_choice": "auto"}, "tools"),
        ({"tools": {"type": "function"}, "tool_choice": "none"}, "tools"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"wings": 2}, "wings"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages[0].content"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"stop": [""]}, "stop"),
        ({"user": "x" * 300}, "sticky_key"),
    ],
)
async def test_refusal_names_the_parameter(here: Gateway, changes: dict[str, object], param: str) -> None:
    async with here.http() as http:
        answer = await http.post("/v1/chat/completions", json={"model": "acme", "messages": QUESTION, **changes})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert (error["param"] or "").startswith(param)
    assert here.engine.requests == []


async def test_what_asks_for_nothing_is_no_obstacle(here: Gateway) -> None:
    idle = {"tools": [], "tool_choice": "auto", "metadata": {"a": "b"}, "store": False, "logprobs": False, "stop": None,
            "service_tier": "auto", "parallel_tool_calls": True, "stream": None, "logit_bias": None}  # fmt: skip
    async with here.http() as http:
        answer = await http.post("/v1/chat/completions", json={"model": "acme", "messages": QUESTION, **idle})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("tools", "choice"), [("tools", "tool_choice"), ("functions", "function_call")])
async def test_tools_that_may_not_be_called_are_no_obstacle(here: Gateway, tools: str, choice: str) -> None:
    body = {"model": "acme", "messages": QUESTION, tools: [{"type": "function", "name": "f"}], choice: "none"}
    async with here.http() as http:
        answer = await http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"]


async def test_requests_of_an_evaluation_harness_are_answered(here: Gateway) -> None:
    """As lm-eval's local-chat-completions and local-completions send them."""
    shared = {"model": "acme", "max_tokens": 8, "temperature": 0, "seed": 1234, "stop": ["Question:", "\n\n"]}
    turns = [{"role": "system", "content": "Be brief.", "type": "text"}, {**QUESTION[-1], "type": "text"}]
    async with here.http() as http:
        chat = await http.post("/v1/chat/completions", json={**shared, "messages": turns, "top_p": 1.0})
        texts = await http.post("/v1/completions", json={**shared, "prompt": ["One?", "Two?"]})
        scored = await http.post(
            "/v1/completions",
            json={"model": "acme", "prompt": "One?", "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234,
                  "echo": True},
        )  # fmt: skip
    assert chat.status_code == 200, chat.text
    assert chat.json()["choices"][0]["message"]["content"]
    assert [each["index"] for each in texts.json()["choices"]] == [0, 1], texts.text
    assert (scored.status_code, scored.json()["error"]["param"]) == (400, "echo")


async def test_token_is_asked_for_before_the_body_is_read(here: Gateway) -> None:
    async with httpx.AsyncClient(base_url=here.url, trust_env=False) as http:
        none = await http.post("/v1/chat/completions", content=b"{")
        wrong = await http.get("/v1/models", headers={"authorization": "Bearer no-such-token"})
        open_ = await http.get("/health")
    assert [none.status_code, wrong.status_code, open_.status_code] == [401, 401, 200]
    assert none.headers["www-authenticate"] == "Bearer"
    assert none.json()["error"]["code"] == "invalid_api_key"


async def test_body_has_a_bound(here: Gateway) -> None:
    async with here.http() as http:
        small = {"model": "acme", "messages": [{"role": "user", "content": "x" * 4096}]}
        large = {"model": "acme", "messages": [{"role": "user", "content": "x" * (8 * 2**20)}]}

        async def parts() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b" " * 2**20

        answers = [
            await http.post("/v1/chat/completions", json=small),
            await http.post("/v1/chat/completions", json=large),
            await http.post("/v1/chat/completions", content=parts()),
        ]
    assert [answer.status_code for answer in answers] == [400, 413, 413]
    assert answers[0].json()["error"]["code"] == "context_length_exceeded"


async def test_caller_that_hangs_up_frees_its_sequence(here: Gateway) -> None:
    for is_stream in (True, False):
        here.engine.aborted.clear()
        here.engine.gate.clear()
        body = {"model": "acme", "messages": QUESTION, "stream": is_stream}
        async with here.http() as http:
            asking = asyncio.create_task(http.post("/v1/chat/completions", json=body))
            await until(lambda: bool(here.engine.requests))
            asking.cancel()
        await until(lambda: bool(here.engine.aborted))
        assert len(here.engine.aborted) == 1
        here.engine.requests.clear()


async def test_deadline_is_504_and_a_dead_engine_503_with_a_time_to_retry(fresh: Gateway) -> None:
    fresh.engine.gate.clear()
    body = {"model": "acme", "messages": QUESTION}
    async with fresh.http() as http:
        late = await http.post("/v1/chat/completions", json=body, headers={"x-sealserve-timeout": "0.2"})
        fresh.engine.die()
        fresh.engine.gate.set()
        away = await http.post("/v1/chat/completions", json=body)
    assert (late.status_code, late.json()["error"]["type"]) == (504, "server_error")
    assert away.status_code == 503
    assert int(away.headers["retry-after"]) >= 1


async def test_engine_that_dies_in_mid_answer_is_told_in_the_stream(fresh: Gateway) -> None:
    async with fresh.openai() as client:
        fresh.engine.max_context_tokens = 10**6
        fresh.engine.answers[None, "Who are you?"] = " ".join(["word"] * 100_000)
        stream = await client.chat.completions.create(model="acme", messages=QUESTION, stream=True)
        fresh.engine.die()
        with pytest.raises(openai.APIError):
            _ = [chunk async for chunk in stream]


async def test_many_at_once_get_their_own_answers(here: Gateway) -> None:
    async with here.openai() as client, here.grpc() as grpc:

        async def ask(number: int) -> str:
            turns = [{"role": "user", "content": f"Question {number}"}]
            tenant = "acme" if number % 2 else "globex"
            answer = await client.chat.completions.create(model=tenant, messages=turns, temperature=0)
            return str(answer.choices[0].message.content)

        answers = await asyncio.gather(*map(ask, range(40)))
        for number in (0, 17, 39):
            assert answers[number] == (await grpc.ask("acme", f"Question {number}")).text
    assert len(set(answers)) == 40


async def test_share_of_a_caller_is_one_over_both_transports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(tmp_path, monkeypatch, limits__tokens_per_minute=1000) as here:
        token = here.token("acme")
        async with here.grpc(token) as grpc, here.http(token) as http:
            for number in range(12):
                last = [event async for event in grpc.stream("acme", f"{number} " + "x" * 60)][-1]
                assert isinstance(last, Ended)
                if number == 11:
                    break
                answer = await http.post("/v1/chat/completions", json={"model": "acme", "messages": QUESTION})
                if answer.status_code == 429:
                    break
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"
    assert int(answer.headers["retry-after"]) >= 1


async def test_thumb_finds_the_version_of_the_answer(here: Gateway) -> None:
    token = here.token("acme")
    async with here.http(token) as http:
        answer = await http.post("/v1/chat/completions", json={"model": "acme", "messages": QUESTION})
        given = {"response_id": answer.json()["id"], "thumb": "up"}
        named = await http.post("/v1/feedback", json={**given, "model": answer.headers["x-sealserve-model"]})
        again = await http.post("/v1/feedback", json={**given, "model": "acme@base"})
        other = await http.post("/v1/feedback", json={**given, "model": "globex@base"})
        unknown = await http.post("/v1/feedback", json={"response_id": "nothing", "thumb": "down"})
    assert named.status_code == 200, named.text
    assert named.json()["model"] == "acme@base"
    assert [again.status_code, other.status_code, unknown.status_code] == [409, 404, 404]


async def test_what_is_not_here_says_so(here: Gateway) -> None:
    async with here.http() as http:
        answers = [
            await http.post("/v1/embeddings", json={}),
            await http.get("/nothing"),
            await http.get("/v1/completions"),
        ]
    assert [answer.status_code for answer in answers] == [404, 404, 405]
    assert "/v1/embeddings" in answers[0].json()["error"]["message"]
    assert all(answer.json()["error"]["param"] is None for answer in answers)


async def test_metrics_are_for_those_who_see_every_tenant(here: Gateway) -> None:
    async with here.http() as http, here.http(here.token("acme")) as bound:
        await http.post("/v1/chat/completions", json={"model": "acme", "messages": QUESTION})
        shown, refused = await http.get("/metrics"), await bound.get("/metrics")
    assert shown.status_code == 200
    assert "gen_ai_server_request_duration" in shown.text
    assert refused.status_code == 403
