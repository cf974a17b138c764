"""The kill figure: kill -9 of `learn`, `serve` and the engine at chosen and at random moments, and what is left then.

Runs real daemons on this machine and checks what must hold once they have recovered.
"""

import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sealserve.bench.reliability.kill_plan import (
    Strike,
    count_condemned,
    count_half_done,
    count_lost,
    count_twice,
    learn_strikes,
)
from sealserve.bench.reliability.kill_serve import STRIKES
from sealserve.bench.reliability.kill_site import FINAL, HELD_TENANT, POLL_SECONDS, TENANT, Site, Writer, open_site
from sealserve.errors import CorruptArtifact, NotFound, SealserveError, Unavailable
from sealserve.nano.world import World
from sealserve.records.cycles import CycleState
from sealserve.records.rollouts import WatchState
from sealserve.records.versions import VersionState

SERVE_SHARE = 0.05
"""How many of the kills strike `serve` or its engine, each costing an engine start; at least each strike once, as far
as a fifth of the kills allows."""

STRIKE_SECONDS = 180.0  # an armed point that is not reached by then is struck from outside
_FACTS_PER_DOCUMENT = 4
_WORLD_SEED = 20261121
_BACKLOG = 2  # documents that wait or are being learned while `learn` is struck


@dataclass(frozen=True, slots=True, kw_only=True)
class KillFigures:
    """What was done and what was left. `lost`, `twice`, `half_done`, `remembered`, `condemned`, `unfinished`, `failed`
    and `broken` have to be zero."""

    kills: int
    learn_kills: int
    serve_kills: int
    at_points: int
    acknowledged: int
    lost: int
    versions: int
    promoted: int
    twice: int
    watches: int
    rolled_back: int  # of these, by themselves
    half_done: int
    forgotten: int
    remembered: int  # forgotten documents with a word or a version left that may answer
    condemned: int  # versions quarantined or suspended because the engine died under them
    cycles: int
    unfinished: int
    failed: int
    broken: int  # strikes after which something else did not hold; said as it happens
    audit_rows: int
    audit_whole: bool
    seconds: float


def tell(line: str) -> None:
    """Print a line of progress where it does not mix with the figures."""
    print(line, file=sys.stderr, flush=True)


def fresh_article(number: int) -> str:
    """Return a short article of the embedded model's world that nobody has seen."""
    world = World(_WORLD_SEED + number)
    return world.article(world.rng("kill"), 1, _FACTS_PER_DOCUMENT).text


def run(
    *, kills: int = 50, seed: int = 0, say: Callable[[str], None] = tell, write: Writer = fresh_article
) -> KillFigures:
    """Return the figures of `kills` kills, most of them on `learn`; `say` gets a line for each.

    Raises: Unavailable (the daemons do not start on this machine, or end by themselves).
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the daemons end with it
    started = time.monotonic()
    on_serve = max(1, round(kills * SERVE_SHARE), min(len(STRIKES), kills // 5))
    with tempfile.TemporaryDirectory(prefix="sealserve-kill-") as name:
        site = open_site(Path(name), say, write)
        try:
            for strike in learn_strikes(kills - on_serve, rng=random.Random(seed)):
                _strike_learn(site, strike)
            site.settle()
            for number in range(on_serve):
                _strike_serve(site, STRIKES[number % len(STRIKES)])
            site.settle()
            return _figures(site, learn_kills=kills - on_serve, serve_kills=on_serve, started=started)
        finally:
            site.learn.kill(whole_group=True)
            site.serve.kill(whole_group=True)
            site.client.close()
            site.approver.close()


def _strike_learn(site: Site, strike: Strike) -> None:
    """Start `learn`, keep it supplied with work, and see it die as planned."""
    environment = {"SEALSERVE_FAULT": f"{strike.point}:kill:{strike.nth}"} if strike.point else {}
    site.learn.start(environment=environment)
    deadline = time.monotonic() + (STRIKE_SECONDS if strike.point else strike.seconds)
    while site.learn.is_running and time.monotonic() < deadline:
        site.keep_supplied(_BACKLOG)
        time.sleep(POLL_SECONDS)
    reached = not site.learn.is_running
    if reached and site.learn.exit_code != -signal.SIGKILL:
        raise Unavailable(f"sealserve learn ended with {site.learn.exit_code}:\n{site.learn.last_words()}")
    site.at_points += reached
    site.learn.kill()
    when = f"at {strike.point}" if reached else f"after {strike.seconds:.1f} s"
    site.say(f"learn killed {when}; {site.progress()}")


def _strike_serve(site: Site, strike: Callable[[Site], None]) -> None:
    """Strike; what could not be struck, or did not come back, is broken and ends nothing else.

    Raises: Unavailable (`serve` cannot be started any more).
    """
    try:
        strike(site)
    except SealserveError as error:
        site.note_broken(error.message)
        site.learn.kill()
        site.serve.kill()
        site.start_serve()


def _figures(site: Site, *, learn_kills: int, serve_kills: int, started: float) -> KillFigures:
    client, tenants = site.client, (TENANT, HELD_TENANT)
    kept = {name: text for name, text in site.acknowledged.items() if name not in site.forgotten}
    stored = {name: client.document_text(*name) for name in kept if _has_text(site, *name)}
    versions = [one for tenant in tenants for one in client.adapters(tenant)]
    moves = [one for tenant in tenants for one in client.activations(tenant)]
    watches = [report.watch for tenant in tenants for report in client.watches(tenant)]
    states = [cycle.state for cycle in site.cycles()]
    usable = {(one.tenant, doc) for one in versions if one.state is VersionState.READY for doc in one.documents}
    try:
        rows = client.verify_audit()
    except CorruptArtifact:
        rows = 0
    return KillFigures(
        kills=learn_kills + serve_kills,
        learn_kills=learn_kills,
        serve_kills=serve_kills,
        at_points=site.at_points,
        acknowledged=len(site.acknowledged),
        lost=count_lost(kept, stored),
        versions=len(versions),
        promoted=sum(move.kind == "promote" for move in moves),
        twice=count_twice(versions, moves, asked=site.asked),
        watches=len(watches),
        rolled_back=sum(watch.state is WatchState.ROLLED_BACK for watch in watches),
        half_done=count_half_done(
            watches, moves, desired={tenant: client.tenant(tenant).desired_version for tenant in tenants}
        ),
        forgotten=len(site.forgotten),
        remembered=sum(name in usable or _has_text(site, *name) for name in site.forgotten),
        condemned=count_condemned(versions, moves, forgotten=site.forgotten),
        cycles=len(states),
        unfinished=sum(state not in FINAL for state in states),
        failed=states.count(CycleState.FAILED),
        broken=len(site.broken),
        audit_rows=rows,
        audit_whole=rows > 0,
        seconds=round(time.monotonic() - started, 1),
    )


def _has_text(site: Site, tenant: str, document: str) -> bool:
    try:
        return bool(site.client.document_text(tenant, document))
    except NotFound:
        return False
