"""The kill figure: kill -9 of `learn`, `serve` and the engine at chosen and at random moments, and what is left then.

Runs real daemons on this machine with short cycles and a policy that promotes whatever could be measured, so that
kills fall on promotions too. Knows nothing of how the daemons recover, only what must hold once they have.
"""

import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sealserve.bench.kill_plan import Strike, count_lost, count_twice, learn_strikes
from sealserve.client import Client
from sealserve.errors import CorruptArtifact, SealserveError, Unavailable
from sealserve.local import LocalDaemon
from sealserve.nano.world import World
from sealserve.records import Cycle, CycleState, DocumentState

TENANT = "kills"
SERVE_SHARE = 0.1
"""How many of the kills strike `serve` or its engine: each costs an engine start."""

STRIKE_SECONDS = 300.0  # an armed point that is not reached by then is struck from outside
SETTLE_SECONDS = 600.0
_POLL_SECONDS = 0.5
_FACTS_PER_DOCUMENT = 4
_WORLD_SEED = 20261121
_BACKLOG = 2  # documents that wait or are being learned while `learn` is struck
_FINAL = frozenset(CycleState) - {CycleState.PENDING, CycleState.RUNNING}
_OPEN_DOCUMENTS = (DocumentState.ADMITTED, DocumentState.LEARNING)
_POLICY = """name: bench-kill
confidence: 0.95
confirm: {min_items: 1, min_gain_low: -1.0, min_share: 0.0}
replay: {min_items: 1, margin: 0.99, alpha: 0.05}
canary: {min_items: 1, margin: 0.99, alpha: 0.05}
unknown: {min_items: 1, margin: 0.99, alpha: 0.05}
"""
_SETTINGS = {
    "SEALSERVE_REGISTRY__LEASE_SECONDS": "3",
    "SEALSERVE_LEARN__GATHER_SECONDS": "0.5",
    "SEALSERVE_LEARN__MAX_ATTEMPTS": "1000",
    "SEALSERVE_LEARN__MAX_DOCUMENTS_PER_CYCLE": "4",
    "SEALSERVE_LEARN__CANDIDATES": "1",
    "SEALSERVE_LEARN__MAX_STEPS": "6",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KillFigures:
    """What was done and what was left. `lost`, `twice`, `unfinished` and `failed` have to be zero."""

    kills: int
    learn_kills: int
    serve_kills: int
    at_points: int
    acknowledged: int
    lost: int
    versions: int
    promoted: int
    twice: int
    cycles: int
    unfinished: int
    failed: int
    audit_rows: int
    audit_whole: bool
    seconds: float


Writer = Callable[[int], str]
"""Writes the text of the n-th document; no two are alike."""


@dataclass(slots=True)
class _Site:
    """The daemons under test, and what their clients were told."""

    serve: LocalDaemon
    learn: LocalDaemon
    client: Client
    say: Callable[[str], None]
    write: Writer
    written: int = 0
    acknowledged: dict[str, str] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    at_points: int = 0


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
    """Return the figures of `kills` kills, nine tenths of them on `learn`; `say` gets a line for each.

    Raises: Unavailable (the daemons do not start on this machine, or end by themselves).
    """
    started = time.monotonic()
    on_serve = max(1, round(kills * SERVE_SHARE))
    with tempfile.TemporaryDirectory(prefix="sealserve-kill-") as name:
        site = _open(Path(name), say, write)
        try:
            for strike in learn_strikes(kills - on_serve, rng=random.Random(seed)):
                _strike_learn(site, strike)
            _settle(site)
            for number in range(on_serve):
                _SERVE_STRIKES[number % len(_SERVE_STRIKES)](site)
            _settle(site)
            return _figures(site, learn_kills=kills - on_serve, serve_kills=on_serve, started=started)
        finally:
            site.learn.kill(whole_group=True)
            site.serve.kill(whole_group=True)
            site.client.close()


def _open(directory: Path, say: Callable[[str], None], write: Writer) -> _Site:
    policy = directory / "policy.yaml"
    policy.write_text(_POLICY, encoding="utf-8")
    environment = {**_SETTINGS, "SEALSERVE_LEARN__POLICY": str(policy)}
    serve = LocalDaemon(directory, command="serve", environment=environment)
    learn = LocalDaemon(directory, command="learn", address=serve.address, environment=environment)
    site = _Site(serve=serve, learn=learn, client=Client(serve.address, token=serve.token), say=say, write=write)
    say("starting serve")
    _start_serve(site)
    site.client.create_tenant(TENANT)
    return site


def _start_serve(site: _Site, **environment: str) -> None:
    site.serve.start(environment=environment)
    site.serve.wait_until_serving()


def _strike_learn(site: _Site, strike: Strike) -> None:
    """Start `learn`, keep it supplied with work, and see it die as planned."""
    environment = {"SEALSERVE_FAULT": f"{strike.point}:kill:{strike.nth}"} if strike.point else {}
    site.learn.start(environment=environment)
    deadline = time.monotonic() + (STRIKE_SECONDS if strike.point else strike.seconds)
    while site.learn.is_running and time.monotonic() < deadline:
        _keep_supplied(site)
        time.sleep(_POLL_SECONDS)
    reached = not site.learn.is_running
    if reached and site.learn.exit_code != -signal.SIGKILL:
        raise Unavailable(f"sealserve learn ended with {site.learn.exit_code}:\n{site.learn.last_words()}")
    site.at_points += reached
    site.learn.kill()
    site.say(f"learn killed {f'at {strike.point}' if reached else f'after {strike.seconds:.1f} s'}; {_progress(site)}")


def _keep_supplied(site: _Site) -> None:
    if sum(document.state in _OPEN_DOCUMENTS for document in site.client.documents(TENANT)) < _BACKLOG:
        _push(site)


def _push(site: _Site) -> None:
    """Hand a new document in; only what the server answered for counts as acknowledged. Raises: SealserveError."""
    site.written += 1
    document, _ = site.client.add_document(TENANT, site.write(site.written), title=f"Article {site.written}")
    site.acknowledged[document.document] = site.client.document_text(TENANT, document.document)


def _settle(site: _Site) -> None:
    """Let `learn` run unharmed until every cycle is final and nothing waits, or time is up."""
    site.learn.start()
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline and (_open_cycles(site) or _waiting(site)):
        time.sleep(_POLL_SECONDS)
    site.learn.stop()


def _kill_engine(site: _Site) -> None:
    """The engine's process dies while a cycle runs; the supervisor of `serve` has to notice and rebuild it."""
    _push(site)
    site.learn.start()
    rebuilds = site.client.engine_info().rebuilds
    engine = _engine_processes(site.serve.pid)
    if not engine:
        raise Unavailable("no engine process was found below sealserve serve")
    for pid in engine:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline and site.client.engine_info().rebuilds == rebuilds:
        time.sleep(_POLL_SECONDS)
    site.serve.wait_until_serving()
    site.learn.kill()
    site.say(f"engine killed; rebuilds {site.client.engine_info().rebuilds}; {_progress(site)}")


def _kill_serve(site: _Site) -> None:
    """`serve` dies while a cycle runs; `learn` has to wait for the next one."""
    _push(site)
    site.learn.start()
    while site.learn.is_running and not _open_cycles(site):
        time.sleep(_POLL_SECONDS)
    site.serve.kill()
    _start_serve(site)
    site.learn.kill()
    site.say(f"serve killed during a cycle; {_progress(site)}")


def _kill_while_adding(site: _Site, point: str) -> None:
    """`serve` dies while it stores the second of three documents; a call that failed acknowledged nothing."""
    site.serve.stop()
    _start_serve(site, SEALSERVE_FAULT=f"{point}:kill:2")
    try:
        for _ in range(3):
            _push(site)
    except SealserveError:
        site.at_points += 1
    site.serve.kill()
    _start_serve(site)
    site.say(f"serve killed at {point}; {_progress(site)}")


def _kill_while_promoting(site: _Site) -> None:
    """`serve` dies after the commit of a promotion; the same request again must be the same promotion."""
    desired = site.client.tenant(TENANT).desired_version
    older = [one.version for one in site.client.adapters(TENANT) if one.version != desired]
    if not older:
        return _kill_serve(site)
    site.serve.stop()
    _start_serve(site, SEALSERVE_FAULT="registry.promote.after_commit:kill")
    request_id = f"promotion-{len(site.asked)}"
    site.asked.append(older[0])
    try:
        site.client.promote(TENANT, older[0], reason="bench kill", request_id=request_id)
    except SealserveError:
        site.at_points += 1
    site.serve.kill()
    _start_serve(site)
    site.client.promote(TENANT, older[0], reason="bench kill", request_id=request_id)
    site.say(f"serve killed after the commit of a promotion; {_progress(site)}")


_SERVE_STRIKES: tuple[Callable[[_Site], None], ...] = (
    _kill_serve,
    lambda site: _kill_while_adding(site, "registry.add_document.before_commit"),
    lambda site: _kill_while_adding(site, "registry.add_document.after_commit"),
    _kill_while_promoting,
    _kill_engine,
    lambda site: _kill_while_adding(site, "artifacts.put_bytes.before_rename"),
    lambda site: _kill_while_adding(site, "artifacts.put_bytes.after_rename"),
)


def _figures(site: _Site, *, learn_kills: int, serve_kills: int, started: float) -> KillFigures:
    client = site.client
    stored = {one.document: client.document_text(TENANT, one.document) for one in client.documents(TENANT)}
    versions, moves = list(client.adapters(TENANT)), list(client.activations(TENANT))
    states = [cycle.state for cycle in _cycles(site)]
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
        lost=count_lost(site.acknowledged, stored),
        versions=len(versions),
        promoted=sum(move.kind == "promote" for move in moves),
        twice=count_twice(versions, moves, asked=site.asked),
        cycles=len(states),
        unfinished=sum(state not in _FINAL for state in states),
        failed=states.count(CycleState.FAILED),
        audit_rows=rows,
        audit_whole=rows > 0,
        seconds=round(time.monotonic() - started, 1),
    )


def _cycles(site: _Site) -> list[Cycle]:
    return [report.cycle for report in site.client.cycles(TENANT)]


def _open_cycles(site: _Site) -> bool:
    return any(cycle.state not in _FINAL for cycle in _cycles(site))


def _waiting(site: _Site) -> bool:
    return any(document.state is DocumentState.ADMITTED for document in site.client.documents(TENANT))


def _progress(site: _Site) -> str:
    states = Counter(cycle.state.value for cycle in _cycles(site))
    newest = _cycles(site)[:1]
    step = f", step {newest[0].step}" if newest and newest[0].state not in _FINAL else ""
    return ", ".join(f"{number} {state}" for state, number in sorted(states.items())) + step


def _engine_processes(serve_pid: int) -> list[int]:
    """Return the children of `serve` that run vLLM (it names them so)."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        lines = dict(line.split(":\t", 1) for line in _read(status).splitlines() if ":\t" in line)
        if lines.get("PPid") == str(serve_pid) and "VLLM" in _read(status.with_name("cmdline")):
            found.append(int(status.parent.name))
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # the process has ended
