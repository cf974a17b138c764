"""Whatever comes in over HTTP, the answer is a refusal in OpenAI's shape: never 500, never a trace."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from sealserve.gateway.bodies import IGNORED, NEUTRAL, ChatBody, CompletionBody, FeedbackBody
from sealserve.registry.registry import Registry
from tests.gateway.small import small_gateway

ROUTES = ("/v1/chat/completions", "/v1/completions", "/v1/feedback", "/v1/models", "/v1/models/acme@v1", "/health",
          "/metrics", "/v1/embeddings", "/v1/models/../../etc/passwd", "/%00", "/v1/chat/completions/")  # fmt: skip
BODIES: dict[str, type[BaseModel]] = {
    "/v1/chat/completions": ChatBody,
    "/v1/completions": CompletionBody,
    "/v1/feedback": FeedbackBody,
}
HEADERS = ("authorization", "x-request-id", "x-sealserve-timeout", "x-sealserve-min-activation", "traceparent",
           "x-sealserve-sticky-key", "content-length", "content-type")  # fmt: skip
EXAMPLES = 250

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
    """The routes on a loop of their own, so that hypothesis can call in from outside."""

    def __init__(self, directory: Path) -> None:
        self._runner = asyncio.Runner()
        self.registry = Registry.open(f"sqlite:///{directory / 'registry.db'}", directory / "artifacts")
        self.registry.tenants.create("acme", actor="ann")
        self._http, self.engine = self._runner.run(small_gateway(self.registry))

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer."""
        return self._runner.run(self._http.request(method, path, **options))

    def close(self) -> None:
        """Stop."""
        self._runner.run(self._http.aclose())
        self._runner.close()
        self.registry.close()


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    running = Wire(tmp_path_factory.mktemp("fuzz"))
    yield running
    running.close()


def require_sound(answer: httpx.Response, about: object) -> None:
    assert answer.status_code < 500, (about, answer.text)
    assert "Traceback" not in answer.text
    if answer.status_code >= 400:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}, about


QUIET: dict[str, Any] = {"deadline": None, "database": None, "derandomize": True,
                         "suppress_health_check": list(HealthCheck)}  # fmt: skip


@pytest.mark.parametrize("route", sorted(BODIES))
def test_any_parameters_get_an_answer_or_a_reason(wire: Wire, route: str) -> None:
    @settings(max_examples=EXAMPLES, **QUIET)
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

    @settings(max_examples=60, **QUIET)
    @given(st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]), st.binary(max_size=40), headers)
    def check(method: str, body: bytes, shown: dict[str, str]) -> None:
        given_headers = [(name.encode(), value.strip().encode("latin-1")) for name, value in shown.items()]
        answer = wire.send(method, route, content=body, headers=given_headers)
        require_sound(answer, (method, body, shown))

    check()


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
