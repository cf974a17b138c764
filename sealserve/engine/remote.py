"""The engine of another process, over EngineService: what `learn` writes and measures with.

Rides out a server that restarts: every call here may be repeated, so it is, until patience ends; adapters that the
server forgot are handed over again.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from sealserve.engine.chat import check_turns
from sealserve.engine.engine import AdapterFiles, Delta, GenerateRequest, Likelihood, ScoreRequest
from sealserve.errors import BadConfig, NotFound, SealserveError, Unavailable
from sealserve.network import Tls, require_private
from sealserve.records.inference import ChatTurn, EngineInfo, EngineState
from sealserve.records.sampling import check_sampling
from sealserve.telemetry import trace_headers
from sealserve.v1 import engine_pb2
from sealserve.wire import engine
from sealserve.wire.channels import bearer, open_channel
from sealserve.wire.statuses import from_rpc_error

SERVICE = "/sealserve.v1.EngineService"
PATIENCE_SECONDS = 180.0
"""A server that loads its model again takes a minute or two."""

TIMEOUT_SECONDS = 300.0
MAX_MESSAGE_BYTES = 8 * 2**20
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 2.0

M = TypeVar("M", bound=Message)


def artifact_digest(path: Path) -> str:
    """Return the digest of an adapter in the artifact store, from its path `…/<digest>/files`."""
    return path.parent.name


class RemoteEngine:
    """`Engine` at `address`. `secret` is a token's of role engine; the artifact store is shared with the server."""

    def __init__(
        self,
        address: str,
        *,
        secret: str,
        tls: Tls | None = None,
        insecure: bool = False,
        read_tls: Callable[[], Tls | None] | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        digest_of: Callable[[Path], str] = artifact_digest,
    ) -> None:
        """Connect on the first call. `patience_seconds` is how long an unavailable server is waited for.

        `read_tls` gives `tls` anew when the server is unavailable: its certificate may have been replaced.
        Raises: BadConfig (the secret would travel in plain text beyond this machine, and not `insecure`).
        """
        require_private(address, secret=secret, tls=tls, insecure=insecure)
        self._tls = tls
        self._read_tls = read_tls
        self._address = address
        self._secret = secret
        self._patience_seconds = patience_seconds
        self._digest_of = digest_of
        self._handed_over: dict[str, str] = {}
        self._opened: grpc.aio.Channel | None = None

    async def start(self) -> None:
        """Return when the server's engine serves. Raises: Unavailable (patience ended), Unauthenticated."""
        await self._patiently(self._require_serving)

    async def close(self) -> None:
        """Disconnect; the server's engine runs on."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta, None]:
        """Yield the whole text of each answer, then its end. Raises: as `Engine.generate`; DeadlineExceeded."""
        check_sampling(request.sampling)
        message = engine_pb2.EngineGenerateRequest(
            request_id=request.request_id,
            messages=engine.turns_to_wire(request.turns),
            adapter=request.adapter or "",
            sampling=engine.sampling_to_wire(request.sampling),
            cache_salt=request.cache_salt,
        )
        answer = await self._with_adapter(
            request.adapter, lambda: self._call("Generate", message, engine_pb2.EngineGenerateResponse)
        )
        usage = answer.usage
        counts = {"prompt_tokens": usage.prompt_tokens, "cached_tokens": usage.cached_tokens}
        for choice in engine.choices_from_wire(answer.choices, text=answer.text, finish=answer.finish_reason):
            place: dict[str, Any] = {"index": choice.index, "completion_tokens": usage.completion_tokens, **counts}
            yield Delta(text=choice.text, logprobs=choice.logprobs, **place)
            yield Delta(text="", finish=choice.finish, **place)

    async def score(self, request: ScoreRequest) -> Likelihood:
        """Return the completion's log-likelihood. Raises: as `generate`."""
        message = engine_pb2.EngineScoreRequest(
            request_id=request.request_id,
            messages=engine.turns_to_wire(request.turns),
            completion=request.completion,
            adapter=request.adapter or "",
            cache_salt=request.cache_salt,
        )
        answer = await self._with_adapter(
            request.adapter, lambda: self._call("Score", message, engine_pb2.EngineScoreResponse)
        )
        return Likelihood(log_likelihood=answer.log_likelihood, tokens=answer.tokens)

    async def count_tokens(self, turns: tuple[ChatTurn, ...]) -> int:
        """Return the prompt's tokens. Raises: InvalidArgument, Unavailable."""
        check_turns(turns)
        message = engine_pb2.EngineCountTokensRequest(messages=engine.turns_to_wire(turns))
        return (await self._call("CountTokens", message, engine_pb2.EngineCountTokensResponse)).prompt_tokens

    async def load(self, adapter: AdapterFiles) -> None:
        """Hand the adapter over by its digest. Raises: BadAdapter, NotFound (artifact), Unavailable."""
        digest = self._digest_of(adapter.path)
        await self._load(adapter.name, digest)
        self._handed_over[adapter.name] = digest

    async def unload(self, name: str) -> bool:
        """Drop the adapter; False if it was not loaded. Raises: Unavailable."""
        self._handed_over.pop(name, None)
        message = engine_pb2.UnloadAdapterRequest(name=name)
        return (await self._call("UnloadAdapter", message, engine_pb2.UnloadAdapterResponse)).unloaded

    async def info(self) -> EngineInfo:
        """Return what runs there; an engine that cannot be reached reads as stopped."""
        try:
            return await self._info()
        except SealserveError:
            return EngineInfo(
                state=EngineState.STOPPED,
                model="",
                base_digest="",
                max_context_tokens=0,
                max_rank=0,
                slots=0,
                loaded=(),
                rebuilds=0,
            )

    async def _require_serving(self) -> None:
        info = await self._info()
        if info.state is not EngineState.SERVING:
            raise Unavailable(f"the engine at {self._address} is {info.state.value}")

    async def _info(self) -> EngineInfo:
        message = engine_pb2.GetEngineInfoRequest()
        return engine.info_from_wire(await self._once("GetEngineInfo", message, engine_pb2.EngineInfo))

    async def _load(self, name: str, digest: str) -> None:
        message = engine_pb2.LoadAdapterRequest(name=name, artifact_digest=digest)
        await self._call("LoadAdapter", message, engine_pb2.LoadAdapterResponse)

    async def _with_adapter(self, adapter: str | None, call: Callable[[], Awaitable[Any]]) -> Any:
        """A server that restarted has forgotten the adapters it was handed: hand this one over again, once."""
        try:
            return await call()
        except NotFound:
            if adapter is None or adapter not in self._handed_over:
                raise
        await self._load(adapter, self._handed_over[adapter])
        return await call()

    async def _call(self, method: str, message: Message, response: type[M]) -> M:
        answer: M = await self._patiently(lambda: self._once(method, message, response))
        return answer

    async def _patiently(self, call: Callable[[], Awaitable[Any]]) -> Any:
        until, wait = time.monotonic() + self._patience_seconds, FIRST_WAIT_SECONDS
        while True:
            try:
                return await call()
            except Unavailable:
                if time.monotonic() + wait > until:
                    raise
            await self._trust_anew()
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    async def _trust_anew(self) -> None:
        with suppress(BadConfig):  # a file that is being replaced
            tls = self._read_tls() if self._read_tls else self._tls
            if tls is not None and tls != self._tls:
                opened, self._opened, self._tls = self._opened, None, tls
                if opened is not None:
                    await opened.close(grace=LONGEST_WAIT_SECONDS)

    async def _once(self, method: str, message: Message, response: type[M]) -> M:
        call = self._channel.unary_unary(
            f"{SERVICE}/{method}",
            request_serializer=type(message).SerializeToString,
            response_deserializer=response.FromString,
        )
        metadata = (*bearer(self._secret), *trace_headers())
        try:
            answer: M = await call(message, timeout=TIMEOUT_SECONDS, metadata=metadata)
        except grpc.RpcError as error:
            raise from_rpc_error(error, address=self._address) from error
        return answer

    @property
    def _channel(self) -> grpc.aio.Channel:
        if self._opened is None:  # not in __init__: a channel belongs to the loop that runs when it is made
            options: list[tuple[str, Any]] = [
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_reconnect_backoff_ms", 1_000),
                ("grpc.initial_reconnect_backoff_ms", 100),
            ]
            self._opened = open_channel(grpc.aio, self._address, tls=self._tls, options=options)
        return self._opened
