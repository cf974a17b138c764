"""Whatever comes in, the answer is a refusal with a reason: never INTERNAL, never UNKNOWN, never silence."""

import asyncio
import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from sealserve.records.principals import Principal, Role
from sealserve.rpc.server import ENGINE_SERVICE, TENANT_SERVICES
from sealserve.settings.limits import LimitSettings
from sealserve.v1 import (
    adapter_pb2,
    approval_pb2,
    audit_pb2,
    canary_pb2,
    cycle_pb2,
    document_pb2,
    engine_pb2,
    evaluation_pb2,
    feedback_pb2,
    inference_pb2,
    source_pb2,
    tenant_pb2,
    token_pb2,
    watch_pb2,
)
from sealserve.wire.channels import bearer
from tests.fuzzing import MOST_GROWTH_MIB, Calls, examples
from tests.rpc.harness import BEARER, ENGINE_BEARER, served
from tests.rpc.harness import settings as serve_settings

pytestmark = pytest.mark.slow  # plays some 1,700 calls

FILES = (
    adapter_pb2,
    approval_pb2,
    audit_pb2,
    canary_pb2,
    cycle_pb2,
    document_pb2,
    engine_pb2,
    evaluation_pb2,
    feedback_pb2,
    inference_pb2,
    source_pb2,
    tenant_pb2,
    token_pb2,
    watch_pb2,
)
METHODS: list[MethodDescriptor] = [
    method for file in FILES for service in file.DESCRIPTOR.services_by_name.values() for method in service.methods
]
BROKEN = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS, grpc.StatusCode.UNIMPLEMENTED}
TENANTS_OWN: dict[Role, tuple[str, ...] | None] = {
    Role.VIEWER: ("acme",),
    Role.OPERATOR: ("acme", "globex"),
    Role.APPROVER: None,
    Role.TENANT_ADMIN: ("acme",),
}
"""Roles of tenants' people, and what the fuzz binds them to."""

UNLIMITED = LimitSettings(calls_per_minute=10**9, writes_per_minute=10**9, bytes_per_minute=10**12)
SECONDS = 0.5
MESSAGES, BYTES, CALLS_OF_ROLE = 12, 4, 2
"""Examples for each method: of messages, of bytes, and of calls by each role."""

EXAMPLES = len(METHODS) * (MESSAGES + BYTES + CALLS_OF_ROLE * len(Role))

NAMES = st.sampled_from(
    "tenants/acme tenants/- tenants/nobody tenants/acme/documents/0123456789abcdef tenants/acme/adapters/v1 "
    "tenants/acme/adapters/base tenants/acme/adapters/v99999999 tenants/acme/cycles/c1 acme \0 -1".split(" ")
)
TEXTS = st.one_of(NAMES, st.text(max_size=40), st.just("x" * 5_000), st.just("../../etc/passwd"))
INTEGERS = st.one_of(st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)]), st.integers(-(2**31), 2**31 - 1))


def messages(descriptor: Descriptor, *, depth: int = 0) -> st.SearchStrategy[Message]:
    """Messages of that type with any fields set to anything of the right kind."""
    fields = {field.name: values(field, depth=depth) for field in descriptor.fields if depth < 4}
    optional = st.fixed_dictionaries({}, optional=fields)
    return optional.map(lambda given: _built(descriptor, given))


def values(field: FieldDescriptor, *, depth: int) -> st.SearchStrategy[Any]:
    kinds: dict[int, st.SearchStrategy[Any]] = {
        FieldDescriptor.CPPTYPE_STRING: st.binary(max_size=40) if field.type == field.TYPE_BYTES else TEXTS,
        FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
        FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
        FieldDescriptor.CPPTYPE_INT32: INTEGERS,
        FieldDescriptor.CPPTYPE_INT64: st.one_of(INTEGERS, st.sampled_from([2**63 - 1, -(2**63)])),
        FieldDescriptor.CPPTYPE_ENUM: st.integers(-1, 12),
    }
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = field.message_type.fields
        return st.dictionaries(values(key, depth=depth), values(value, depth=depth), max_size=3)
    one = kinds.get(field.cpp_type)
    if one is None:
        assert field.message_type is not None
        one = messages(field.message_type, depth=depth + 1)
    return st.lists(one, max_size=3) if field.is_repeated else one


def _built(descriptor: Descriptor, given: dict[str, Any]) -> Message:
    return GetMessageClass(descriptor)(**given)


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Wire"]:
    running = Wire(tmp_path_factory.mktemp("fuzz"))
    yield running
    running.close()


class Wire:
    """A server and a channel on a loop of their own, so that hypothesis can call in from outside."""

    def __init__(self, directory: Path) -> None:
        self._runner = asyncio.Runner()
        self._serving = served(directory, serve=serve_settings(default_deadline_seconds=SECONDS), limits=UNLIMITED)
        self._here = self._runner.run(self._serving.__aenter__())
        self._channel = self._runner.run(self._open())
        self._bearers = {role: self._bearer(role, bound) for role, bound in TENANTS_OWN.items()}
        self.calls = Calls()
        self._bearers |= {Role.ADMIN: BEARER, Role.ENGINE: ENGINE_BEARER}

    def _bearer(self, role: Role, bound: tuple[str, ...] | None) -> Any:
        principal = Principal(name=role, role=role, tenants=bound)
        return bearer(self._here.registry.tokens.create(principal, actor="test")[1])

    def send(self, method: MethodDescriptor, payload: bytes, *, role: Role | None = None) -> grpc.StatusCode:
        """Return how the call ended; without `role` it is one that may call."""
        is_engines = method.containing_service.name == "EngineService"
        shown = self._bearers[role or (Role.ENGINE if is_engines else Role.ADMIN)]
        call = partial(self._send_now, method, payload, shown)
        code: grpc.StatusCode = self.calls.play(call, lambda code: code.name)
        return code

    def _send_now(self, method: MethodDescriptor, payload: bytes, shown: Any) -> grpc.StatusCode:
        return self._runner.run(self._send(method, payload, shown=shown))

    def close(self) -> None:
        """Stop both."""
        self.calls.tell("over gRPC")
        self._runner.run(self._channel.close())
        self._runner.run(self._serving.__aexit__(None, None, None))
        self._runner.close()

    async def _open(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self._here.address)

    async def _send(self, method: MethodDescriptor, payload: bytes, *, shown: Any) -> grpc.StatusCode:
        path = f"/{method.containing_service.full_name}/{method.name}"
        options: dict[str, Any] = {"metadata": shown, "timeout": SECONDS}
        channel: Any = self._channel
        if not method.server_streaming:
            return await channel.unary_unary(path)(payload, **options).code()  # type: ignore[no-any-return]
        call = channel.unary_stream(path)(payload, **options)
        if path.endswith(("WatchAdapters", "WatchCycle")):
            asyncio.get_running_loop().call_later(0.05, call.cancel)
        with contextlib.suppress(grpc.RpcError, asyncio.CancelledError):
            async for _ in call:
                pass
        return await call.code()  # type: ignore[no-any-return]


def test_every_service_is_fuzzed() -> None:
    assert {method.containing_service.full_name for method in METHODS} == {*TENANT_SERVICES, ENGINE_SERVICE}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_any_message_gets_an_answer_or_a_reason(wire: Wire, method: MethodDescriptor) -> None:
    @examples(MESSAGES, of=EXAMPLES)
    @given(messages(method.input_type))
    def check(message: Message) -> None:
        assert wire.send(method, message.SerializeToString()) not in BROKEN, message

    check()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_any_bytes_get_an_answer_or_a_reason(wire: Wire, method: MethodDescriptor) -> None:
    @examples(BYTES, of=EXAMPLES)
    @given(st.binary(max_size=60))
    def check(payload: bytes) -> None:
        assert wire.send(method, payload) not in BROKEN

    check()


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("service", sorted({method.containing_service.name for method in METHODS}))
def test_any_message_of_anybody_gets_an_answer_or_a_reason(wire: Wire, service: str, role: Role) -> None:
    methods = [method for method in METHODS if method.containing_service.name == service]

    @examples(CALLS_OF_ROLE * len(methods), of=EXAMPLES)
    @given(st.sampled_from(methods).flatmap(lambda method: st.tuples(st.just(method), messages(method.input_type))))
    def check(call: tuple[MethodDescriptor, Message]) -> None:
        method, message = call
        assert wire.send(method, message.SerializeToString(), role=role) not in BROKEN, (role, method.name, message)

    check()


def test_memory_stays_as_it_is(wire: Wire) -> None:
    for method in METHODS:
        wire.send(method, b"")
    assert wire.calls.growth_mib() < MOST_GROWTH_MIB
