"""What a revoked version still answers when every place for an adapter is taken: a real daemon, and no learning.

A tenant has two versions, the first of which is not loaded any more; other tenants take all other places. A document
that only the second one learned is unlearned while clients ask, again and again. The right figure is 0.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from sealserve.bench.harness.adapters import make_sound
from sealserve.bench.harness.serving_site import Site, fill_places, open_site, promote_artifact
from sealserve.client import AsyncClient
from sealserve.errors import SealserveError, Unavailable
from sealserve.gate.thresholds import default_policy_path
from sealserve.records.versions import AdapterVersion

TENANT = "forgets"
PLACES = 4
OTHERS = 6
"""Tenants that want a place: more than there are."""

CLIENTS = 4
MAX_TOKENS = 16
REVOKED_SECONDS = 1.0
"""By then every replica has looked at the registry: no request that begins later may reach the revoked version."""

ROUND_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FullFigures:
    """Over `rounds` unlearned documents. Seconds count from the moment the unlearning was acknowledged."""

    rounds: int
    places: int
    answers_by_revoked: int  # to requests that began more than `REVOKED_SECONDS` later; has to be 0
    last_revoked_seconds: float  # to the last request that the revoked version was given, the worst round
    unanswered_seconds: float  # to the first answer of the earlier version, the worst round
    answers: int
    refused: int  # while the earlier version was loaded
    failed: int  # otherwise; has to be 0


@dataclass(slots=True)
class _Run:
    site: Site
    client: AsyncClient
    directory: Path
    given: list[tuple[float, float, int]] = field(default_factory=list)  # (began, ended, by which version)
    refused: int = 0
    failed: int = 0


def measure_full(*, rounds: int, seed: int, say: Callable[[str], None]) -> FullFigures:
    """Return what `rounds` revoked versions still answered. Raises: EngineFailed, SealserveError (time is up)."""
    with tempfile.TemporaryDirectory(prefix="sealserve-forget-full-") as name:
        return asyncio.run(_measure(Path(name), rounds=rounds, seed=seed, say=say))


async def _measure(directory: Path, *, rounds: int, seed: int, say: Callable[[str], None]) -> FullFigures:
    say("starting the engine")
    policy = await asyncio.to_thread(_write_policy, directory / "policy.yaml")
    async with (
        open_site(directory / "data", policy=policy, loaded_adapters=PLACES, rollback_window_seconds=0) as site,
        AsyncClient(site.address, token=site.token) as client,
    ):
        session = _Run(site=site, client=client, directory=directory)
        await client.create_tenant(TENANT)
        await _promote(session, seed=seed)
        await fill_places(site, directory, tenants=OTHERS, seed=seed + 100)
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            askers = [group.create_task(_ask(session, done)) for _ in range(CLIENTS)]
            found = [await _play_round(session, seed=seed + 1 + number, say=say) for number in range(rounds)]
            done.set()
            await asyncio.wait(askers)
    return FullFigures(
        rounds=rounds,
        places=PLACES,
        answers_by_revoked=sum(late for late, _, _ in found),
        last_revoked_seconds=round(max(last for _, last, _ in found), 3),
        unanswered_seconds=round(max(unanswered for _, _, unanswered in found), 3),
        answers=len(session.given),
        refused=session.refused,
        failed=session.failed,
    )


def _write_policy(path: Path) -> Path:
    """Write the shipped policy without rollouts, which would keep the earlier version loaded; return its path."""
    policy = yaml.safe_load(default_policy_path().read_bytes())
    policy["watch"]["enabled"] = False
    path.write_text(yaml.safe_dump(policy), encoding="utf-8")
    return path


async def _promote(session: _Run, *, seed: int) -> AdapterVersion:
    site, path = session.site, session.directory / f"version{seed}"
    files = await asyncio.to_thread(make_sound, path, site.base, seed=seed)
    artifact = await asyncio.to_thread(site.registry.artifacts.put_directory, files)
    activation = await asyncio.to_thread(promote_artifact, site, TENANT, artifact)
    await session.client.wait_until_observed(TENANT, activation, timeout_seconds=ROUND_SECONDS)
    page = await asyncio.to_thread(site.registry.versions.page, TENANT, page_size=1)
    return page.items[0]


async def _ask(session: _Run, done: asyncio.Event) -> None:
    while not done.is_set():
        began = time.monotonic()
        try:
            answer = await session.client.ask(TENANT, "Where is the office?", max_tokens=MAX_TOKENS)
        except Unavailable:
            session.refused += 1
            await asyncio.sleep(0.05)
        except SealserveError:
            session.failed += 1
        else:
            session.given.append((began, time.monotonic(), answer.version))


async def _play_round(session: _Run, *, seed: int, say: Callable[[str], None]) -> tuple[int, float, float]:
    """Return late answers by the revoked version, seconds to its last request, and seconds to the next answer."""
    version = await _promote(session, seed=seed)
    await _wait_until(lambda: any(given == version.version for _, _, given in session.given))
    done = await session.client.forget_document(TENANT, version.documents[-1], reason="bench forget")
    forgotten = time.monotonic()
    await _wait_until(
        lambda: any(began > forgotten and given == done.desired_version for began, _, given in session.given)
    )
    await asyncio.sleep(max(0.0, forgotten + 2 * REVOKED_SECONDS - time.monotonic()))
    late = [began - forgotten for began, _, given in session.given if given == version.version and began > forgotten]
    answered = min(
        ended for began, ended, given in session.given if began > forgotten and given == done.desired_version
    )
    n_late = sum(seconds > REVOKED_SECONDS for seconds in late)
    say(f"version {version.version}: {n_late} late answers; the earlier version after {answered - forgotten:.2f} s")
    return n_late, max(late, default=0.0), answered - forgotten


async def _wait_until(holds: Callable[[], bool]) -> None:
    """Return once it holds. Raises: SealserveError after ROUND_SECONDS."""
    deadline = time.monotonic() + ROUND_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise SealserveError(f"nothing answered as it should within {ROUND_SECONDS:.0f} s")
        await asyncio.sleep(0.02)
