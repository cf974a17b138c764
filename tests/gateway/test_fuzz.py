"""Whatever comes in over HTTP, the answer is a refusal in OpenAI's shape: never 500, never a trace."""

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from sealserve.gateway.bodies import IGNORED, NEUTRAL, ChatBody, CompletionBody, FeedbackBody
from sealserve.intake.inbox import Inbox
from sealserve.records.sources import NewSource, SourceKind
from sealserve.registry.registry import Registry
from sealserve.settings.listener import HttpSettings
from sealserve.settings.settings import IntakeSettings
from sealserve.settings.sources import SourceSettings
from sealserve.sources.webhook import Webhook
from sealserve.web.listener import HttpListener
from tests.fakes import PermissiveEnforcer
from tests.fuzzing import MOST_GROWTH_MIB, Calls, examples
from tests.gateway.small import small_app

pytestmark = pytest.mark.slow  # plays some 1,700 calls

ROUTES = ("/v1/chat/completions", "/v1/completions", "/v1/feedback", "/v1/models", "/v1/models/acme@v1", "/health",
          "/metrics", "/sources/acme/cms", "/v1/embeddings", "/v1/models/../../etc/passwd", "/%00",
          "/v1/chat/completions/")  # fmt: skip
"""Every route, and paths that are none."""

BODIES: dict[str, type[BaseModel]] = {
    "/v1/chat/completions": ChatBody,
    "/v1/completions": CompletionBody,
    "/v1/feedback": FeedbackBody,
}
HEADERS = ("authorization", "x-request-id", "x-sealserve-timeout", "x-sealserve-min-activation", "traceparent",
           "x-sealserve-sticky-key", "content-length", "content-type")  # fmt: skip
BODIES_OF_ROUTE, REQUESTS_OF_ROUTE, DELIVERIES, STREAMS = 250, 60, 60, 60
EXAMPLES = BODIES_OF_ROUTE * len(BODIES) + REQUESTS_OF_ROUTE * len(ROUTES) + DELIVERIES + STREAMS
KEY = "a key of the sender"

NAMES = sorted({*ChatBody.model_fields, *CompletionBody.model_fields, *FeedbackBody.model_fields, *NEUTRAL, *IGNORED})
TEXTS = st.one_of(
    st.sampled_from(
        ["acme", "acme@v1", "acme@base", "base", "nobody", "user", "text", "json_schema", "\0", "x" * 5000]
    ),
    st.text(max_size=20),
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 2**31, -(2**63), 2**64, 10**400, 1e308, -0.0]), st.integers(), st.floats(allow_nan=False)
)
TREES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(TEXTS, st.sampled_from(NAMES)), inner, max_size=3)
    ),
    max_leaves=8,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.one_of(st.sampled_from(["system", "user", "assistant", "tool"]), TEXTS), "content": TREES},
        optional={"tool_calls": TREES, "name": TREES},
    ),
    max_size=3,
)
SOUND = {"model": st.just("acme"), "messages": st.just([{"role": "user", "content": "Hi"}]), "prompt": st.just("Hi"),
         "response_id": st.just("x"), "thumb": st.just("up")}  # fmt: skip


def bodies(route: str) -> st.SearchStrategy[dict[str, Any]]:
    """Sound bodies of the route with some parameters that may be anything."""
    sound = {name: kind for name, kind in SOUND.items() if name in BODIES[route].model_fields}
    wild = dict.fromkeys(NAMES, TREES) | {"messages": st.one_of(MESSAGES, TREES)}
    chosen = st.lists(st.sampled_from(sorted(wild)), max_size=3, unique=True)
    return st.fixed_dictionaries(sound).flatmap(
        lambda base: chosen.flatmap(
            lambda names: st.fixed_dictionaries({name: wild[name] for name in names}).map(lambda more: {**base, **more})
        )
    )


class Wire:
    """The routes on a loop of their own, so that hypothesis can call in from outside; also behind a real listener."""

    def __init__(self, directory: Path) -> None:
        self._runner = asyncio.Runner()
        self.registry = Registry.open(f"sqlite:///{directory / 'registry.db'}", directory / "artifacts")
        self.registry.tenants.create("acme", actor="ann")
        webhook = NewSource(name="cms", kind=SourceKind.WEBHOOK, secret_variable="SOURCE_ACME__CMS")
        self.registry.sources.create("acme", webhook, actor="ann", max_sources=1)
        inbox = Inbox(self.registry, IntakeSettings(), refuse=PermissiveEnforcer().refuse_document)
        route = Webhook(self.registry, inbox, SourceSettings()).route()
        self.app, self._http, self.engine = self._runner.run(small_app(self.registry, more=[route]))
        self._listener = HttpListener(self.app, HttpSettings(address="127.0.0.1:0"), drain_seconds=0)
        self._port = self._runner.run(self._listener.start())
        self.calls = Calls()

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer."""
        call = partial(self._send_now, method, path, **options)
        answer: httpx.Response = self.calls.play(call, lambda answer: str(answer.status_code))
        return answer

    def send_raw(self, sent: bytes) -> bytes:
        """Return what a connection of its own that sends these bytes gets back, until the server is done with it."""
        got: bytes = self.calls.play(partial(self._send_raw_now, sent), lambda got: f"raw {got[9:12].decode()}")
        return got

    def close(self) -> None:
        """Stop."""
        self.calls.tell("over HTTP")
        self._runner.run(self._listener.stop())
        self._runner.run(self._http.aclose())
        self._runner.close()
        self.registry.close()

    def _send_now(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._http.request(method, path, **options))

    def _send_raw_now(self, sent: bytes) -> bytes:
        return self._runner.run(self._exchange(sent))

    async def _exchange(self, sent: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        with suppress(ConnectionError):
            writer.write(sent)
            writer.write_eof()
            return await asyncio.wait_for(reader.read(), 30)
        return b""


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SOURCE_ACME__CMS", KEY)
        running = Wire(tmp_path_factory.mktemp("fuzz"))
        yield running
        running.close()


def require_sound(answer: httpx.Response, about: object) -> None:
    assert answer.status_code < 500, (about, answer.text)
    assert "Traceback" not in answer.text
    if answer.status_code >= 400:
        shape = set(answer.json()["error"])
        assert shape in ({"message", "type", "param", "code"}, {"message", "reason"}), about


def test_every_route_is_fuzzed(wire: Wire) -> None:
    paths = [route.path for route in wire.app.routes]
    patterns = [re.compile(re.sub(r"\{.*?\}", "[^?]+", path)) for path in paths]
    assert [path for path, each in zip(paths, patterns, strict=True) if not any(map(each.fullmatch, ROUTES))] == []


@pytest.mark.parametrize("route", sorted(BODIES))
def test_any_parameters_get_an_answer_or_a_reason(wire: Wire, route: str) -> None:
    @examples(BODIES_OF_ROUTE, of=EXAMPLES)
    @given(bodies(route))
    def check(body: dict[str, Any]) -> None:
        try:
            raw = json.dumps(body).encode()
        except ValueError:  # more digits than Python writes
            return
        require_sound(wire.send("POST", route, content=raw), body)

    check()


@pytest.mark.parametrize("route", ROUTES)
def test_any_bytes_by_any_method_get_an_answer_or_a_reason(wire: Wire, route: str) -> None:
    latin = st.text(alphabet=st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=20)
    values = st.one_of(st.sampled_from(["", "-1", "nan", "9" * 30, "Bearer x", "²"]), latin)
    headers = st.dictionaries(st.sampled_from(HEADERS), values, max_size=3)

    @examples(REQUESTS_OF_ROUTE, of=EXAMPLES)
    @given(st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]), st.binary(max_size=40), headers)
    def check(method: str, body: bytes, shown: dict[str, str]) -> None:
        given_headers = [(name.encode(), value.strip().encode("latin-1")) for name, value in shown.items()]
        answer = wire.send(method, route, content=body, headers=given_headers)
        require_sound(answer, (method, body, shown))

    check()


DELIVERY = st.fixed_dictionaries(
    {"key": st.one_of(TREES, st.just("page"))},
    optional=dict.fromkeys(("title", "text", "content", "media_type"), TREES)
    | {"event": st.one_of(TREES, st.just("delete"))},
)


def test_any_signed_delivery_gets_an_answer_or_a_reason(wire: Wire) -> None:
    @examples(DELIVERIES, of=EXAMPLES)
    @given(st.one_of(st.binary(max_size=40), DELIVERY, TREES))
    def check(body: Any) -> None:
        try:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        except ValueError:
            return
        stamp = str(int(time.time()))
        signature = hmac.new(KEY.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
        shown = {"x-timestamp": stamp, "x-signature": f"sha256={signature}"}
        require_sound(wire.send("POST", "/sources/acme/cms", content=raw, headers=shown), body)

    check()


LINES = st.sampled_from(
    [
        b"GET /health HTTP/1.1\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\n",
        b"GET / HTTP/9.9\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"Host: x\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
        b"x: " + b"y" * 70_000 + b"\r\n",
        b"\r\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"ffffffffffffffffff\r\n",
    ]
)


def test_any_bytes_on_a_connection_get_an_answer_or_its_end(wire: Wire) -> None:
    @examples(STREAMS, of=EXAMPLES)
    @given(st.lists(st.one_of(LINES, st.binary(max_size=30)), max_size=8).map(b"".join))
    def check(sent: bytes) -> None:
        got = wire.send_raw(sent)
        assert b"HTTP/1.1 5" not in got, (sent, got[:200])
        assert b"Traceback" not in got

    check()
    assert wire.send_raw(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe",
        b"",
        b"null",
        b'{"model": "\\ud800", "messages": []}',
        b'{"model": "acme", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "acme", "prompt": "x", "max_tokens": ' + b"9" * 5000 + b"}",
        b'{"model": "acme", "prompt": "x", "seed": ' + b"9" * 4000 + b"}",
        b'{"model": "acme", "prompt": "x", "temperature": NaN}',
        b'{"model": "acme", "prompt": "x", "temperature": 1e999}',
        b" " * 70_000,
    ],
)
def test_hostile_body_is_refused(wire: Wire, raw: bytes) -> None:
    for route in BODIES:
        answer = wire.send("POST", route, content=raw)
        assert answer.status_code in (400, 413), answer.text
        require_sound(answer, raw[:50])


def test_memory_stays_as_it_is(wire: Wire) -> None:
    for route in ROUTES:
        wire.send("POST", route, content=b"{}")
    assert wire.calls.growth_mib() < MOST_GROWTH_MIB
