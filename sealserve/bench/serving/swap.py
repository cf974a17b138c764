"""The swap figure: versions change under load, forwards and back, and every answer is checked against the version it
names. Bad adapters are offered throughout, to the engine and as promoted versions. The server is that of
`sealserve serve`, and every version is sealed.

Decoding is greedy, so what a version says is known beforehand; runs in float32, where batching cannot tip a close
choice.
"""

import asyncio
import math
import random
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import httpx

from sealserve.bench.harness.adapters import DEFECTS, make_bad, make_sound
from sealserve.bench.harness.serving_site import Site, open_site, promote_artifact
from sealserve.client import AsyncClient
from sealserve.concurrency import in_thread
from sealserve.engine.engine import AdapterFiles, Engine, GenerateRequest
from sealserve.engine.remote import RemoteEngine
from sealserve.errors import BadAdapter, SealserveError
from sealserve.gateway.replies import MODEL_HEADER
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.records.versions import BASE_VERSION, VersionState
from sealserve.serving.activation.version_loader import NOT_FOR_THESE_SETTINGS
from sealserve.wire.names import model_of

TENANTS = ("swap-a", "swap-b")
PROMPTS = ("Tell me about the harbour.", "List three places.", "Who are you?", "What is a rule?", "Say something.")
MAX_TOKENS = 8
DISTINCT = 12
"""Different sound adapters; versions take them in turn, and neighbouring versions answer differently."""

BAD_EVERY, ROLLBACK_EVERY = 5, 7
OBSERVED_SECONDS = 120.0
HTTP_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapFigures:
    """`wrong` and `failed` have to be 0, `refused` as many as `offered`. Every second client asks over HTTP."""

    swaps: int
    answers: int
    answers_over_http: int  # of these
    wrong: int
    failed: int
    offered: int
    refused: int
    flip_ms_p99: float
    observed_s_p99: float
    seconds: float


@dataclass(slots=True)
class _Tally:
    answers: int = 0
    answers_over_http: int = 0
    wrong: int = 0
    failed: int = 0
    offered: int = 0
    refused: int = 0
    swaps: int = 0


@dataclass(slots=True)
class _Run:
    """A run's site, adapters and expected answers: expected[artifact][prompt], artifact "" for the base model."""

    site: Site
    client: AsyncClient
    http: httpx.AsyncClient
    remote: RemoteEngine
    directory: Path
    artifacts: list[str] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    expected: dict[str, dict[str, str]] = field(default_factory=dict)
    names: dict[tuple[str, int], str] = field(default_factory=dict)
    made: int = 0
    tally: _Tally = field(default_factory=_Tally)


def run(*, swaps: int = 200, clients: int = 4, say: Callable[[str], None] = print) -> SwapFigures:
    """Return the figures of `swaps` version changes under `clients` clients. Raises: EngineFailed."""
    with tempfile.TemporaryDirectory(prefix="sealserve-swap-") as name:
        return asyncio.run(_measure(Path(name), swaps=swaps, clients=clients, say=say))


async def _measure(directory: Path, *, swaps: int, clients: int, say: Callable[[str], None]) -> SwapFigures:
    say("starting the engine")
    async with (
        open_site(directory / "data", dtype="float32") as site,
        AsyncClient(site.address, token=site.token) as client,
        httpx.AsyncClient(
            base_url=site.url, headers={"authorization": f"Bearer {site.token}"}, timeout=HTTP_SECONDS, trust_env=False
        ) as http,
    ):
        remote = RemoteEngine(site.address, secret=site.internal_token)
        session = _Run(site=site, client=client, http=http, remote=remote, directory=directory)
        await _prepare(session, say=say)
        started = time.monotonic()
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            askers = [group.create_task(_ask(session, done, seed=seed)) for seed in range(clients)]
            await _swap_all(session, swaps=swaps, say=say)
            done.set()
            await asyncio.wait(askers)
        await remote.close()
        return _make_figures(session, seconds=time.monotonic() - started)


async def _prepare(session: _Run, *, say: Callable[[str], None]) -> None:
    """Make the adapters, learn what each says, and keep the prompts at which no two say the same."""
    for tenant in TENANTS:
        await session.client.create_tenant(tenant)
    engine = session.site.engine
    session.expected[""] = await _find_stable_answers(engine, None)
    for seed in range(DISTINCT):
        files = await asyncio.to_thread(make_sound, session.directory / f"sound{seed}", session.site.base, seed=seed)
        artifact = await asyncio.to_thread(session.site.registry.artifacts.put_directory, files)
        async with in_thread(session.site.registry.artifacts.materialise(artifact)) as path:
            await engine.load(AdapterFiles(name=f"expected-{seed}", path=path))
        session.expected[artifact] = await _find_stable_answers(engine, f"expected-{seed}")
        await engine.unload(f"expected-{seed}")
        session.artifacts.append(artifact)
    session.prompts = [
        p
        for p in PROMPTS
        if len({expected[p] for expected in session.expected.values() if p in expected}) == len(session.expected)
    ]
    if not session.prompts:
        raise BadAdapter("the adapters made for this figure do not differ in what they say", defect="no_effect")
    say(f"{DISTINCT} adapters, {len(session.prompts)} prompts at which all differ")


async def _find_stable_answers(engine: Engine, adapter: str | None) -> dict[str, str]:
    """Return what each prompt gets, asked alone; a choice so close that company changes it is left out."""
    alone = [await _answer(engine, adapter, prompt) for prompt in PROMPTS]
    together = await asyncio.gather(*(_answer(engine, adapter, prompt) for prompt in PROMPTS))
    return {prompt: text for prompt, text, other in zip(PROMPTS, alone, together, strict=True) if text == other}


async def _answer(engine: Engine, adapter: str | None, prompt: str) -> str:
    request = GenerateRequest(
        request_id="expected",
        turns=(ChatTurn(role="user", content=prompt),),
        adapter=adapter,
        sampling=Sampling(max_tokens=MAX_TOKENS),
    )
    return "".join([delta.text async for delta in engine.generate(request)])


async def _ask(session: _Run, done: asyncio.Event, *, seed: int) -> None:
    """Ask without a pause until `done`; compare every answer with what the version it names must say."""
    source, is_over_http = random.Random(seed), bool(seed % 2)
    while not done.is_set():
        tenant, prompt = source.choice(TENANTS), source.choice(session.prompts)
        session.tally.answers += 1
        session.tally.answers_over_http += is_over_http
        try:
            if is_over_http:
                text, version = await _ask_over_http(session, tenant, prompt)
            else:
                answer = await session.client.ask(tenant, prompt, max_tokens=MAX_TOKENS)
                text, version = answer.text, answer.version
            artifact = await _find_artifact(session, tenant, version)
        except (SealserveError, httpx.HTTPError):
            session.tally.failed += 1
            continue
        session.tally.wrong += text != session.expected[artifact][prompt]


async def _ask_over_http(session: _Run, tenant: str, prompt: str) -> tuple[str, int]:
    """Return the answer and the version that it names. Raises: httpx.HTTPError (refused, cut off)."""
    messages = [{"role": "user", "content": prompt}]
    body = {"model": tenant, "messages": messages, "max_tokens": MAX_TOKENS, "temperature": 0}
    answer = await session.http.post("/v1/chat/completions", json=body)
    answer.raise_for_status()
    named = model_of(answer.headers[MODEL_HEADER])
    if named is None or named[1] is None:
        raise httpx.DecodingError(f"{MODEL_HEADER} names no version")
    return str(answer.json()["choices"][0]["message"]["content"]), named[1]


async def _find_artifact(session: _Run, tenant: str, version: int) -> str:
    if version == BASE_VERSION:
        return ""
    if (tenant, version) not in session.names:
        found = await asyncio.to_thread(session.site.registry.versions.get, tenant, version)
        session.names[tenant, version] = found.artifact
    return session.names[tenant, version]


async def _swap_all(session: _Run, *, swaps: int, say: Callable[[str], None]) -> None:
    artifacts, defects, tenants = cycle(session.artifacts), cycle(DEFECTS), cycle(TENANTS)
    for number in range(1, swaps + 1):
        tenant = next(tenants)
        if number % BAD_EVERY == 0:
            await _offer_bad(session, tenant, next(defects))
        if number % ROLLBACK_EVERY == 0:
            activation = (await session.client.rollback(tenant, reason="bench")).activation
        else:
            activation = await asyncio.to_thread(promote_artifact, session.site, tenant, next(artifacts))
        await session.client.wait_until_observed(tenant, activation, timeout_seconds=OBSERVED_SECONDS)
        session.tally.swaps += 1
        if number % 20 == 0:
            tally = session.tally
            say(f"{number} swaps, {tally.answers} answers, {tally.wrong} wrong, {tally.failed} failed")


async def _offer_bad(session: _Run, tenant: str, defect: str) -> None:
    """Offer a bad adapter to the engine, then as a promoted version; count it refused if both give the reason.

    One of another base model is offered to the engine alone: as a version it would wait for the right setting.
    """
    session.made += 1
    path = session.directory / f"bad{session.made}"
    files = await asyncio.to_thread(make_bad, path, session.site.base, defect=defect, seed=session.made)
    artifact = await asyncio.to_thread(session.site.registry.artifacts.put_directory, files)
    is_for_engine_alone = defect in NOT_FOR_THESE_SETTINGS
    session.tally.offered += 1 if is_for_engine_alone else 2
    try:
        async with in_thread(session.site.registry.artifacts.materialise(artifact)) as stored:
            await session.remote.load(AdapterFiles(name=f"offered-{session.made}", path=stored))
    except BadAdapter as refusal:
        session.tally.refused += refusal.defect == defect
    if is_for_engine_alone:
        return
    activation = await asyncio.to_thread(promote_artifact, session.site, tenant, artifact)
    version = (await asyncio.to_thread(session.site.registry.tenants.get, tenant)).desired_version
    with suppress(SealserveError):
        await session.client.wait_until_observed(tenant, activation + 1, timeout_seconds=OBSERVED_SECONDS)
    marked = await asyncio.to_thread(_find_quarantine_reason, session, tenant, artifact)
    session.tally.refused += marked.startswith(defect) and version >= BASE_VERSION


def _find_quarantine_reason(session: _Run, tenant: str, artifact: str) -> str:
    for version in session.site.registry.versions.page(tenant, page_size=5).items:
        if version.artifact == artifact and version.state is VersionState.QUARANTINED:
            return version.reason
    return ""


def _make_figures(session: _Run, *, seconds: float) -> SwapFigures:
    seen = list(session.site.activator.swaps)
    tally = session.tally
    return SwapFigures(
        swaps=tally.swaps,
        answers=tally.answers,
        answers_over_http=tally.answers_over_http,
        wrong=tally.wrong,
        failed=tally.failed,
        offered=tally.offered,
        refused=tally.refused,
        flip_ms_p99=round(_p99(swap.flip_seconds * 1000 for swap in seen), 4),
        observed_s_p99=round(_p99(swap.observed_seconds for swap in seen), 3),
        seconds=round(seconds, 1),
    )


def _p99(values: Iterable[float]) -> float:
    """Return the 99th percentile (nearest rank), 0 of nothing."""
    ordered = sorted(values)
    return ordered[math.ceil(0.99 * len(ordered)) - 1] if ordered else 0.0
