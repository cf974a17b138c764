"""A teacher over real HTTP: what it is asked, what it may answer, and what happens while it is away."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sealserve.errors import BadConfig, CouldNotMeasure
from sealserve.learning.engine_client import Reply
from sealserve.learning.openai_client import MAX_BODY_BYTES, OpenAIClient
from sealserve.records.inference import Sampling
from sealserve.settings.learn import TeacherSettings

SAMPLING = Sampling(max_tokens=40, temperature=0.8, top_p=0.95, seed=7)
HELD = Sampling(json_schema='{"type": "object", "properties": {"facts": {"type": "array"}}}')
Answer = tuple[int, bytes]


class Endpoint:
    """An OpenAI-compatible server of one answer after the other; the last one stays."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, dict[str, Any]]] = []  # path, authorization, body
        self.url = ""

    def next(self) -> Answer:
        """Return the next answer."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def serving(*answers: Answer) -> Iterator[Endpoint]:
    """Serve `answers` on loopback inside the block."""
    endpoint = Endpoint(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.asked.append((self.path, self.headers.get("Authorization", ""), body))
            status, content = endpoint.next()
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def said(text: str, finish: str = "stop") -> Answer:
    return 200, json.dumps({"choices": [{"message": {"content": text}, "finish_reason": finish}]}).encode()


def settings(url: str, **other: Any) -> TeacherSettings:
    return TeacherSettings(url=url, model="teacher-1", **other)


async def ask(url: str, *, sampling: Sampling = SAMPLING, **other: Any) -> Reply:
    async with OpenAIClient.of(settings(url, **other)) as teacher:
        return await teacher.ask("Study this.", sampling=sampling)


async def test_it_is_asked_as_openai_is_with_the_key_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sesame")
    with serving(said("Lamps go back.")) as endpoint:
        reply = await ask(endpoint.url, key_variable="TEACHER_KEY")
    assert reply == Reply(text="Lamps go back.", is_cut=False)
    ((path, authorization, body),) = endpoint.asked
    assert (path, authorization) == ("/v1/chat/completions", "Bearer sesame")
    assert body == {
        "model": "teacher-1",
        "messages": [{"role": "user", "content": "Study this."}],
        "max_tokens": 40,
        "temperature": 0.8,
        "top_p": 0.95,
        "seed": 7,
    }


async def test_it_is_asked_past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(said("Lamps go back.")) as endpoint:
        assert (await ask(endpoint.url)).text == "Lamps go back."


async def test_an_answer_that_ran_into_its_limit_says_so_and_no_key_is_sent_unasked() -> None:
    with serving(said("Lamps go", "length")) as endpoint:
        assert (await ask(endpoint.url)).is_cut
    assert endpoint.asked[0][1] == ""


@pytest.mark.parametrize(
    "bad",
    [
        (503, b"busy"),
        (429, b"later"),
        (200, b"not json"),
        (200, b"[]"),
        (200, b'{"choices": []}'),
        (200, b'{"choices": [{"message": {"content": null}}]}'),
        (200, b'"' + b"x" * MAX_BODY_BYTES + b'"'),
    ],
)
async def test_one_that_stumbles_is_asked_again(bad: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealserve.learning.openai_client.FIRST_PAUSE_SECONDS", 0.01)
    with serving(bad, said("There.")) as endpoint:
        assert (await ask(endpoint.url)).text == "There."
    assert len(endpoint.asked) == 2


async def test_one_that_stays_away_leaves_nothing_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealserve.learning.openai_client.FIRST_PAUSE_SECONDS", 0.01)
    with serving((500, b"")) as endpoint, pytest.raises(CouldNotMeasure, match="did not answer for 1 s") as away:
        await ask(endpoint.url, patience_seconds=1)
    assert 1 < len(endpoint.asked) < 20
    assert "learn.study.editor" in away.value.message
    with pytest.raises(CouldNotMeasure):
        await ask(endpoint.url, patience_seconds=0.05)  # nobody listens there any more


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404])
async def test_one_that_refuses_is_not_asked_again_and_never_followed_elsewhere(status: int) -> None:
    with serving((status, b"no")) as endpoint, pytest.raises(CouldNotMeasure, match=f"status {status}"):
        await ask(endpoint.url)
    assert len(endpoint.asked) == 1


async def test_a_schema_is_sent_as_openai_has_it() -> None:
    with serving(said('{"facts":[]}')) as endpoint:
        assert (await ask(endpoint.url, sampling=HELD)).text == '{"facts":[]}'
    schema = {"type": "object", "properties": {"facts": {"type": "array"}}}
    assert endpoint.asked[0][2]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema},
    }


@pytest.mark.parametrize("status", [400, 422, 501])
async def test_one_that_knows_no_schemas_is_asked_without_and_this_is_remembered(status: int) -> None:
    with serving((status, b"response_format?"), said("- a fact")) as endpoint:
        async with OpenAIClient.of(settings(endpoint.url)) as teacher:
            replies = [await teacher.ask("Study this.", sampling=HELD) for _ in range(3)]
    assert [reply.text for reply in replies] == ["- a fact"] * 3
    assert ["response_format" in body for _, _, body in endpoint.asked] == [True, False, False, False]


async def test_one_that_refuses_with_and_without_a_schema_refuses_the_request_and_is_sent_the_next_schema() -> None:
    with serving((400, b"too long"), (400, b"too long"), said("{}")) as endpoint:
        async with OpenAIClient.of(settings(endpoint.url)) as teacher:
            with pytest.raises(CouldNotMeasure, match="status 400"):
                await teacher.ask("Study this.", sampling=HELD)
            await teacher.ask("Study this.", sampling=HELD)
    assert ["response_format" in body for _, _, body in endpoint.asked] == [True, False, True]


@pytest.mark.parametrize(
    ("said_by_it", "held", "text"),
    [
        ("Yes.", Sampling(choice=("yes", "no")), "yes"),
        ("**No**, it does not.", Sampling(choice=("yes", "no")), "no"),
        ("yes and no", Sampling(choice=("yes", "yes and no")), "yes and no"),
        ("Nobody knows.", Sampling(choice=("yes", "no")), ""),
        (" 42\n", Sampling(regex="[0-9]+"), "42"),
        ("It is 42", Sampling(regex="[0-9]+"), ""),
    ],
)
async def test_an_answer_is_held_to_its_choices_and_its_pattern_here(
    said_by_it: str, held: Sampling, text: str
) -> None:
    with serving(said(said_by_it)) as endpoint:
        assert await ask(endpoint.url, sampling=held) == Reply(text=text, is_cut=False)
    assert endpoint.asked[0][2].keys() == {"model", "messages", "max_tokens", "temperature", "top_p", "seed"}


async def test_thoughts_are_no_part_of_the_answer() -> None:
    cut_apart = 200, b'{"choices": [{"message": {"content": null, "reasoning": "hm"}, "finish_reason": "length"}]}'
    with serving(said("<think>hm</think>\n\nThere."), said("<think>hm"), cut_apart) as endpoint:
        replies = [await ask(endpoint.url) for _ in range(3)]
    assert replies == [Reply(text="There.", is_cut=False), Reply(text="", is_cut=True), Reply(text="", is_cut=True)]


def test_a_teacher_without_the_key_it_names_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    with pytest.raises(BadConfig, match="TEACHER_KEY is not set"):
        OpenAIClient.of(settings("http://127.0.0.1:9/v1", key_variable="TEACHER_KEY"))


def test_the_key_is_no_part_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sesame")
    named = settings("http://127.0.0.1:9/v1", key_variable="TEACHER_KEY")
    assert named.key() == "sesame"
    assert "sesame" not in named.model_dump_json()
