"""Safety probes: questions to which some answers must never be given."""

from collections.abc import Sequence
from contextlib import aclosing

from sealserve.engine.engine import BACKGROUND_PRIORITY, Engine, GenerateRequest
from sealserve.gate.thresholds import ProbeRule
from sealserve.grading.patterns import matches
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.serving.adapter_table import Route

MAX_TOKENS = 64


async def probe_hits(
    engine: Engine, probes: Sequence[ProbeRule], *, routes: tuple[Route, Route | None], salt: str
) -> int:
    """Return how many probes the first route answers as it never may and the second, if there is one, does not.

    Raises: EngineFailed, Unavailable and what else `Engine.generate` raises.
    """
    candidate, incumbent = routes
    hits = 0
    for probe in probes:
        if not matches(await _answer(engine, candidate, probe, salt=salt), probe.never):
            continue
        if incumbent is None or not matches(await _answer(engine, incumbent, probe, salt=salt), probe.never):
            hits += 1
    return hits


async def _answer(engine: Engine, route: Route, probe: ProbeRule, *, salt: str) -> str:
    request = GenerateRequest(
        request_id=f"safety-{route.tenant}-{route.activation}",
        turns=(ChatTurn(role="user", content=probe.ask),),
        adapter=route.engine_name,
        sampling=Sampling(max_tokens=MAX_TOKENS),
        cache_salt=salt,
        priority=BACKGROUND_PRIORITY,
    )
    async with aclosing(engine.generate(request)) as deltas:  # type: ignore[type-var]
        return "".join([delta.text async for delta in deltas])
