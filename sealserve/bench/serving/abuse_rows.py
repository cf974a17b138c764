"""What one bad caller does, row by row: each plays over connections of its own, in a process of its own, for some time.

The rows are ways in which one caller once stopped everybody else.
"""

import asyncio
import itertools
import json
import secrets
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc

from sealserve.grading.json_schemas import is_accepted
from sealserve.processes.niceness import lower_priority
from sealserve.v1 import (
    adapter_pb2,
    adapter_pb2_grpc,
    canary_pb2,
    canary_pb2_grpc,
    common_pb2,
    document_pb2,
    document_pb2_grpc,
    evaluation_pb2,
    feedback_pb2,
    feedback_pb2_grpc,
    inference_pb2,
    inference_pb2_grpc,
    tenant_pb2,
    tenant_pb2_grpc,
)
from sealserve.wire.channels import bearer

LONG = 7 * 2**20
"""Characters of a message just below the server's limit."""

PAUSE_SECONDS = 0.2

LOWEST_PRIORITY = 19


class Row(StrEnum):
    """The ways."""

    HEALTH = "576 streams of health and reflection without a token"
    SPACES = "one document of 60,000 spaces"
    LONG_PROMPTS = "12 questions of 7 MiB at once"
    LONG_COUNTS = "32 counts of 7 MiB at once"
    WATCHES = "500 watches"
    LISTINGS = "four listings of large suites at once"
    HTML = "12 hostile pages at once"
    FEEDBACK = "40 opinions at once"
    PATTERNS = "suites whose pattern is slow to match"
    GUESSES = "300 made-up tokens at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to, and as whom: secrets of a viewer and an operator of `tenant`."""

    address: str
    tenant: str
    viewer: str
    operator: str

    @property
    def parent(self) -> str:
        """The tenant's name on the wire."""
        return f"tenants/{self.tenant}"


@dataclass(slots=True)
class Played:
    """How the calls of one row ended, by status code."""

    codes: dict[str, int] = field(default_factory=dict)

    def add(self, code: grpc.StatusCode) -> None:
        """Count a call."""
        self.codes[code.name] = self.codes.get(code.name, 0) + 1


class _Caller:
    """The bad caller: its connections, and how its calls ended."""

    def __init__(self, target: Target, stack: AsyncExitStack) -> None:
        self.target = target
        self.played = Played()
        self._stack = stack

    async def channel(self) -> grpc.aio.Channel:
        """Return a connection of its own."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        return await self._stack.enter_async_context(grpc.aio.insecure_channel(self.target.address, options=options))

    async def count(self, call: Awaitable[Any]) -> None:
        """Wait for a unary call and count how it ends."""
        try:
            await call
            self.played.add(grpc.StatusCode.OK)
        except grpc.aio.AioRpcError as error:
            self.played.add(error.code())

    async def hold(self, calls: Sequence[Any], *, seconds: float) -> None:
        """Read the streams for that long, then hang up."""
        reads = [asyncio.ensure_future(self._read(call)) for call in calls]
        await asyncio.wait(reads, timeout=seconds)
        for call in calls:
            call.cancel()
        await asyncio.wait(reads)

    async def _read(self, call: Any) -> None:
        with suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
            while await call.read() is not grpc.aio.EOF:
                pass
        self.played.add(await call.code())


def play(row: Row, target: Target, seconds: float, *, niceness: int = 0) -> None:
    """Play the row in this process for `seconds`, and print how its calls ended as JSON.

    The process, which leads its session, takes the time that others leave: a caller has a machine of its own, and what
    its own work costs this one is nothing that the server does.
    """
    lower_priority(niceness)
    sys.stdout.write(json.dumps(asyncio.run(_play(row, target, seconds)).codes))


async def _play(row: Row, target: Target, seconds: float) -> Played:
    clock = asyncio.get_running_loop().time
    ends_at = clock() + seconds
    async with AsyncExitStack() as stack:
        caller = _Caller(target, stack)
        while (left := ends_at - clock()) > 0:
            await WAVES[row](caller, left)
            await asyncio.sleep(PAUSE_SECONDS)
    return caller.played


async def _health(caller: _Caller, seconds: float) -> None:
    calls: list[Any] = []
    for number in range(12):
        channel = await caller.channel()
        for _ in range(96):
            if number % 2:
                calls.append(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo())
            else:
                calls.append(health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()))
    await caller.hold(calls, seconds=seconds)


async def _spaces(caller: _Caller, seconds: float) -> None:
    text = f"a{secrets.token_hex(4)}{' ' * 60_000}b"
    await _add_documents(caller, [(text.encode(), "text/plain")])


async def _html(caller: _Caller, seconds: float) -> None:
    style = "".join(f".c{n} > a:not(.x) {{ color: red }}\n" for n in range(50_000))
    pages = [f"<html><style>{style}</style><p>{secrets.token_hex(4)}</p></html>" for _ in range(12)]
    await _add_documents(caller, [(page.encode(), "text/html") for page in pages])


async def _add_documents(caller: _Caller, contents: Sequence[tuple[bytes, str]]) -> None:
    stub = document_pb2_grpc.DocumentServiceStub(await caller.channel())
    requests = [
        document_pb2.AddDocumentRequest(parent=caller.target.parent, content=content, media_type=media_type)
        for content, media_type in contents
    ]
    shown = bearer(caller.target.operator)
    await asyncio.gather(*(caller.count(stub.AddDocument(one, metadata=shown, timeout=30)) for one in requests))


async def _long_prompts(caller: _Caller, seconds: float) -> None:
    stub = inference_pb2_grpc.InferenceServiceStub(await caller.channel())
    request = inference_pb2.GenerateRequest(parent=caller.target.parent, messages=_long_messages())
    shown = bearer(caller.target.viewer)
    await asyncio.gather(*(caller.count(stub.Generate(request, metadata=shown, timeout=2)) for _ in range(12)))


async def _long_counts(caller: _Caller, seconds: float) -> None:
    stub = inference_pb2_grpc.InferenceServiceStub(await caller.channel())
    request = inference_pb2.CountTokensRequest(parent=caller.target.parent, messages=_long_messages())
    shown = bearer(caller.target.viewer)
    await asyncio.gather(*(caller.count(stub.CountTokens(request, metadata=shown, timeout=30)) for _ in range(32)))


def _long_messages() -> list[common_pb2.Message]:
    return [common_pb2.Message(role=common_pb2.ROLE_USER, content="word " * (LONG // 5))]


async def _watches(caller: _Caller, seconds: float) -> None:
    stubs = [adapter_pb2_grpc.AdapterServiceStub(await caller.channel()) for _ in range(5)]
    request = adapter_pb2.WatchAdaptersRequest(parent=caller.target.parent)
    shown = bearer(caller.target.viewer)
    calls = [stub.WatchAdapters(request, metadata=shown) for stub in stubs for _ in range(100)]
    await caller.hold(calls, seconds=seconds)


async def _listings(caller: _Caller, seconds: float) -> None:
    stub = canary_pb2_grpc.CanaryServiceStub(await caller.channel())
    request = canary_pb2.ListCanarySuitesRequest(parent=caller.target.parent, page_size=1000)
    shown = bearer(caller.target.viewer)
    await asyncio.gather(*(caller.count(stub.ListCanarySuites(request, metadata=shown, timeout=60)) for _ in range(4)))


async def _feedback(caller: _Caller, seconds: float) -> None:
    stub = feedback_pb2_grpc.FeedbackServiceStub(await caller.channel())
    adapter, shown = f"{caller.target.parent}/adapters/base", bearer(caller.target.viewer)
    opinions = [
        feedback_pb2.Feedback(
            answer_request_id=secrets.token_hex(8), adapter=adapter, thumb=feedback_pb2.THUMB_UP, answer="x" * 8000
        )
        for _ in range(40)
    ]
    requests = [feedback_pb2.CreateFeedbackRequest(parent=caller.target.parent, feedback=one) for one in opinions]
    await asyncio.gather(*(caller.count(stub.CreateFeedback(one, metadata=shown, timeout=60)) for one in requests))


async def _patterns(caller: _Caller, seconds: float) -> None:
    """Put a suite, and grade one answer by it, as `learn` does."""
    stub = canary_pb2_grpc.CanaryServiceStub(await caller.channel())
    schema = json.dumps({"type": "string", "pattern": "a*a*b"})
    item = canary_pb2.CanaryItem(
        item_id="slow", prompt=secrets.token_hex(8), matcher=evaluation_pb2.MATCHER_JSON_SCHEMA, schema=schema
    )
    request = canary_pb2.PutCanarySuiteRequest(parent=caller.target.parent, suite_id="slow", items=[item])
    await caller.count(stub.PutCanarySuite(request, metadata=bearer(caller.target.operator), timeout=60))
    await asyncio.to_thread(is_accepted, json.dumps("a" * 1000), schema)


async def _guesses(caller: _Caller, seconds: float) -> None:
    stub = tenant_pb2_grpc.TenantServiceStub(await caller.channel())
    request = tenant_pb2.GetTenantRequest(name=caller.target.parent)
    shown = [bearer(f"sealserve_{secrets.token_urlsafe(32)}") for _ in range(300)]
    await asyncio.gather(*(caller.count(stub.GetTenant(request, metadata=one, timeout=30)) for one in shown))


WAVES: dict[Row, Callable[[_Caller, float], Awaitable[None]]] = {
    Row.HEALTH: _health,
    Row.SPACES: _spaces,
    Row.LONG_PROMPTS: _long_prompts,
    Row.LONG_COUNTS: _long_counts,
    Row.WATCHES: _watches,
    Row.LISTINGS: _listings,
    Row.HTML: _html,
    Row.FEEDBACK: _feedback,
    Row.PATTERNS: _patterns,
    Row.GUESSES: _guesses,
}
"""Each plays once; it may hold its streams for the seconds that are left."""


def large_suite(number: int, *, bytes_: int) -> list[canary_pb2.CanaryItem]:
    """Return items of some `bytes_` together, other ones for each number."""
    prompts = (f"{number}.{item} {'p' * 3900}" for item in itertools.count())
    return [
        canary_pb2.CanaryItem(item_id=f"i{item}", prompt=prompt, answer="a" * 20)
        for item, prompt in zip(range(min(2000, bytes_ // 4000)), prompts, strict=False)
    ]


if __name__ == "__main__":
    arguments = json.loads(sys.stdin.read())
    play(Row(arguments["row"]), Target(**arguments["target"]), arguments["seconds"], niceness=arguments["niceness"])
