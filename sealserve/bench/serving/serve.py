"""The serve figure: streamed tokens per second over gRPC and over HTTP, divided by those of the same load on the engine
in process; HTTP also by those of vLLM's own OpenAI server over that engine; and an adapter's by the base's.

The server is the one that `sealserve serve` runs, with supervised engine, rollout controller, policy and answer log.
All sides take turns within a run, on the same engine and with the same requests. A ratio is the median of the turns'
ratios, which limits the influence of other load on the machine.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from sealserve.bench.harness.adapters import make_sound
from sealserve.bench.harness.serving_site import Site, open_site
from sealserve.bench.serving.openai_servers import MODEL, read_stream, vllm_server
from sealserve.client import AsyncClient
from sealserve.engine.engine import AdapterFiles, GenerateRequest
from sealserve.errors import EngineFailed
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.records.reports import Ended

TENANT = "serve"
ROUNDS = 10
"""Turns of each side; the first of each warms up and does not count."""

ADAPTER = "adapted"
LIKE_THE_BASE = 1e-6
"""Standard deviation of the adapter's random weights: it costs as much as any adapter, and answers as the base does."""

MAX_TOKENS = 128
TEMPERATURE = 1.0  # answers differ in length as real ones do; seeds make both sides' answers agree
_PROMPTS = (
    "Tell me about the harbour office.",
    "List what follows from this article, one fact a line.",
    "Who are you?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeFigures:
    """`ratio` is what gRPC leaves of the engine's own speed, `http_ratio` what HTTP leaves.

    `http_over_vllm` compares HTTP with vLLM's own server, `adapter_ratio` an adapter with the base.
    """

    ratio: float
    http_ratio: float
    http_over_vllm: float
    adapter_ratio: float
    grpc_tokens_per_second: float
    engine_tokens_per_second: float
    adapter_tokens_per_second: float
    http_tokens_per_second: float
    vllm_tokens_per_second: float
    first_token_ms_http: float
    first_token_ms_vllm: float
    first_token_ms_grpc: float
    first_token_ms_engine: float
    requests: int
    clients: int
    seconds: float


@dataclass(slots=True)
class _Side:
    """The work of one side: tokens in all, tokens per second in each turn, and each request's time to first token."""

    tokens: int = 0
    speeds: list[float] = field(default_factory=list)
    first_token_seconds: list[float] = field(default_factory=list)

    def ratio_to(self, other: "_Side") -> float:
        """Return the median over the turns of its speed, divided by that of the other in the same turn."""
        return round(median(mine / theirs for mine, theirs in zip(self.speeds, other.speeds, strict=True)), 4)


Ask = Callable[[int], Awaitable[tuple[int, float]]]
"""Runs request number n; returns its tokens and the seconds to the first."""


def run(*, requests: int = 200, clients: int = 8, say: Callable[[str], None] = print) -> ServeFigures:
    """Return the figures of `requests` requests on each side, `clients` at once. Raises: EngineFailed."""
    with tempfile.TemporaryDirectory(prefix="sealserve-bench-") as name:
        return asyncio.run(_measure(Path(name), requests=requests, clients=clients, say=say))


async def _measure(directory: Path, *, requests: int, clients: int, say: Callable[[str], None]) -> ServeFigures:
    say("starting the engine")
    started = time.monotonic()
    async with (
        open_site(directory, max_sequences=max(clients, 8)) as site,
        AsyncClient(site.address, token=site.token) as client,
        vllm_server(site) as vllm_url,
        httpx.AsyncClient(trust_env=False, timeout=120, headers={"authorization": f"Bearer {site.token}"}) as web,
    ):
        await client.create_tenant(TENANT)
        path = await asyncio.to_thread(make_sound, directory / ADAPTER, site.base, seed=0, scale=LIKE_THE_BASE)
        await site.engine.load(AdapterFiles(name=ADAPTER, path=path))
        engine, grpc, adapted, http, vllm = _Side(), _Side(), _Side(), _Side(), _Side()
        sides: tuple[tuple[_Side, Ask], ...] = (
            (engine, lambda number: _ask_engine(site, number)),
            (grpc, lambda number: _ask_grpc(client, number)),
            (http, lambda number: read_stream(web, site.url, _body(number, model=f"{TENANT}@base"))),
            (vllm, lambda number: read_stream(web, vllm_url, _body(number, model=MODEL))),
            (adapted, lambda number: _ask_engine(site, number, adapter=ADAPTER)),
        )
        share = -(-requests // ROUNDS)
        for turn in range(ROUNDS + 1):
            numbers = range(turn * share, (turn + 1) * share)
            for side, ask in sides if turn % 2 else reversed(sides):
                await _load(side, ask, numbers=numbers, clients=clients, counts=turn > 0)
            if turn:
                ratios = ", ".join(f"{side.speeds[-1] / engine.speeds[-1]:.3f}" for side in (grpc, http, vllm, adapted))
                say(f"round {turn} of {ROUNDS}: gRPC, HTTP, vLLM's server and an adapter leave {ratios} of the speed")
    if any(abs(engine.tokens - side.tokens) > 0.02 * engine.tokens for side in (grpc, http, vllm)):
        counts = f"{engine.tokens} tokens in process, {grpc.tokens} over gRPC, {http.tokens} over HTTP, {vllm.tokens}"
        raise EngineFailed(f"the sides did not do the same: {counts} from vLLM's own server")
    return ServeFigures(
        ratio=grpc.ratio_to(engine),
        http_ratio=http.ratio_to(engine),
        http_over_vllm=http.ratio_to(vllm),
        adapter_ratio=adapted.ratio_to(engine),
        grpc_tokens_per_second=round(median(grpc.speeds), 1),
        engine_tokens_per_second=round(median(engine.speeds), 1),
        adapter_tokens_per_second=round(median(adapted.speeds), 1),
        http_tokens_per_second=round(median(http.speeds), 1),
        vllm_tokens_per_second=round(median(vllm.speeds), 1),
        first_token_ms_http=round(median(http.first_token_seconds) * 1000, 2),
        first_token_ms_vllm=round(median(vllm.first_token_seconds) * 1000, 2),
        first_token_ms_grpc=round(median(grpc.first_token_seconds) * 1000, 2),
        first_token_ms_engine=round(median(engine.first_token_seconds) * 1000, 2),
        requests=requests,
        clients=clients,
        seconds=round(time.monotonic() - started, 1),
    )


async def _load(side: _Side, ask: Ask, *, numbers: range, clients: int, counts: bool) -> None:
    waiting = iter(numbers)
    results: list[tuple[int, float]] = []

    async def one_client() -> None:
        for number in waiting:
            results.append(await ask(number))

    began = time.perf_counter()
    await asyncio.gather(*(one_client() for _ in range(clients)))
    if counts:
        tokens = sum(tokens for tokens, _ in results)
        side.speeds.append(tokens / (time.perf_counter() - began))
        side.tokens += tokens
        side.first_token_seconds += [seconds for _, seconds in results]


async def _ask_engine(site: Site, number: int, *, adapter: str | None = None) -> tuple[int, float]:
    request = GenerateRequest(
        request_id=f"{adapter or 'engine'}-{number}",
        turns=(ChatTurn(role="user", content=_PROMPTS[number % len(_PROMPTS)]),),
        sampling=Sampling(max_tokens=MAX_TOKENS, temperature=TEMPERATURE, seed=number),
        cache_salt="bench",
        adapter=adapter,
    )
    began, first, tokens = time.perf_counter(), 0.0, 0
    async for delta in site.engine.generate(request):
        first = first or time.perf_counter() - began
        tokens = delta.completion_tokens
    return tokens, first


async def _ask_grpc(client: AsyncClient, number: int) -> tuple[int, float]:
    began, first, tokens = time.perf_counter(), 0.0, 0
    stream = client.stream(
        TENANT, _PROMPTS[number % len(_PROMPTS)], max_tokens=MAX_TOKENS, temperature=TEMPERATURE, seed=number
    )
    async with aclosing(stream) as events:
        async for event in events:
            first = first or time.perf_counter() - began
            if isinstance(event, Ended):
                tokens = event.usage.completion_tokens
    return tokens, first


def _body(number: int, *, model: str) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": _PROMPTS[number % len(_PROMPTS)]}],
        "max_tokens": MAX_TOKENS,
        "temperature": TEMPERATURE,
        "seed": number,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
