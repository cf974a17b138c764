"""The strikes of the kill figure that fall on `serve` and on its engine, each with what must hold right afterwards."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

from sealserve.bench.reliability.kill_rollout import WATCH_POINTS, kill_while_watching
from sealserve.bench.reliability.kill_site import HELD_TENANT, POLL_SECONDS, SETTLE_SECONDS, TENANT, Site
from sealserve.errors import SealserveError, Unavailable
from sealserve.records.approvals import ApprovalState
from sealserve.records.documents import DocumentState

_MAX_TOKENS = 64


def kill_engine(site: Site) -> None:
    """The engine's process dies while a cycle runs; the supervisor of `serve` has to notice and rebuild it."""
    site.push()
    site.learn.start()
    rebuilds = site.client.engine_info().rebuilds
    engine = _engine_processes(site.serve.pid)
    if not engine:
        raise Unavailable("no engine process was found below sealserve serve")
    for pid in engine:
        os.kill(pid, signal.SIGKILL)
    _await_rebuild(site, rebuilds)
    site.learn.kill()
    site.say(f"engine killed; rebuilds {site.client.engine_info().rebuilds}; {site.progress()}")


def kill_worker(site: Site) -> None:
    """The process that holds the model dies in the middle of an answer, as when memory runs out, twice in a row.

    Nothing is wrong with the version that was in use: it has to answer again.
    """
    version = site.client.tenant(TENANT).desired_version
    for _ in range(2):
        rebuilds = site.client.engine_info().rebuilds
        workers = [pid for engine in _engine_processes(site.serve.pid) for pid in _engine_processes(engine)]
        if not workers:
            return kill_engine(site)  # the engine's own process holds the model
        with ThreadPoolExecutor(max_workers=1) as pool:
            asking = pool.submit(_ask_until_it_fails, site)
            time.sleep(POLL_SECONDS)
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            asking.result()
        _await_rebuild(site, rebuilds)
    if site.client.tenant(TENANT).desired_version != version:
        site.note_broken(f"version {version} was taken out of service because its engine was killed")
    site.say(f"worker killed twice under version {version}; {site.progress()}")


def kill_during_cycle(site: Site) -> None:
    """`serve` dies while a cycle runs; `learn` has to wait for the next one."""
    site.push()
    site.learn.start()
    while site.learn.is_running and not site.has_open_cycles():
        time.sleep(POLL_SECONDS)
    site.serve.kill()
    site.start_serve()
    site.learn.kill()
    site.say(f"serve killed during a cycle; {site.progress()}")


def kill_while_adding(site: Site, point: str) -> None:
    """`serve` dies while it stores the second of three documents; a call that failed acknowledged nothing."""
    site.serve.stop()
    site.start_serve(SEALSERVE_FAULT=f"{point}:kill:2")
    with suppress(SealserveError):
        for _ in range(3):
            site.push()
    site.expect_death_at(point)
    site.serve.kill()
    site.start_serve()
    site.say(f"serve killed at {point}; {site.progress()}")


def kill_while_promoting(site: Site) -> None:
    """`serve` dies after the commit of a promotion; the same request again must be the same promotion."""
    desired = site.client.tenant(TENANT).desired_version
    older = [one.version for one in site.client.adapters(TENANT) if one.version != desired and one.state == "ready"]
    older = [version for version in older if version not in site.disliked]
    if not older:
        return kill_during_cycle(site)
    request_id = f"promotion-{len(site.asked)}"
    site.asked.append((TENANT, older[0]))
    _die_and_ask_again(
        site,
        "registry.versions.promote.after_commit",
        lambda: site.client.promote(TENANT, older[0], reason="bench kill", request_id=request_id),
    )
    site.say(f"serve killed after the commit of a promotion; {site.progress()}")


def kill_while_approving(site: Site, point: str) -> None:
    """`serve` dies while a person's approval is kept; the same request again must be the same approval."""
    site.push(HELD_TENANT)
    site.settle()
    waiting = [one for one in site.client.approvals(HELD_TENANT) if one.state is ApprovalState.WAITING]
    if not waiting:
        raise Unavailable(f"no version of tenant {HELD_TENANT} is held: {site.progress()}")
    version = waiting[0].version
    _die_and_ask_again(
        site, point, lambda: site.approver.approve(HELD_TENANT, version, reason="bench kill", request_id=f"a{version}")
    )
    if site.client.tenant(HELD_TENANT).desired_version != version:
        site.note_broken(f"approved version {version} does not answer")
    site.say(f"serve killed at {point}; {site.progress()}")


def kill_while_forgetting(site: Site, point: str) -> None:
    """`serve` dies while a learned document is forgotten; the same request again must be the same forgetting."""
    learned = [one for one in site.client.documents(TENANT) if one.state is DocumentState.LEARNED]
    if not learned:
        return kill_during_cycle(site)
    gone = learned[0].document
    site.forgotten.add((TENANT, gone))
    _die_and_ask_again(
        site, point, lambda: site.client.forget_document(TENANT, gone, reason="bench kill", request_id=f"f{gone}")
    )
    site.settle()
    site.say(f"serve killed at {point}; {site.progress()}")


STRIKES: tuple[Callable[[Site], None], ...] = (
    kill_during_cycle,
    *(partial(kill_while_watching, point=point) for point in WATCH_POINTS[:2]),
    partial(kill_while_adding, point="registry.documents.add.before_commit"),
    partial(kill_while_approving, point="registry.approvals.approve.before_commit"),
    partial(kill_while_forgetting, point="registry.unlearning.unlearn.before_commit"),
    kill_while_promoting,
    kill_engine,
    kill_worker,
    partial(kill_while_approving, point="registry.approvals.approve.after_commit"),
    *(partial(kill_while_watching, point=point) for point in WATCH_POINTS[2:]),
    partial(kill_while_forgetting, point="registry.unlearning.unlearn.after_commit"),
    partial(kill_while_adding, point="registry.documents.add.after_commit"),
    partial(kill_while_adding, point="artifacts.put_bytes.before_rename"),
    partial(kill_while_adding, point="artifacts.put_bytes.after_rename"),
)


def _die_and_ask_again(site: Site, point: str, ask: Callable[[], object]) -> None:
    site.serve.stop()
    site.start_serve(SEALSERVE_FAULT=f"{point}:kill")
    with suppress(SealserveError):
        ask()
    site.expect_death_at(point)
    site.serve.kill()
    site.start_serve()
    ask()


def _ask_until_it_fails(site: Site) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    with suppress(SealserveError):
        while time.monotonic() < deadline:
            site.client.ask(TENANT, "What does the note say?", max_tokens=_MAX_TOKENS)


def _await_rebuild(site: Site, rebuilds: int) -> None:
    """Return once the engine has been rebuilt since it had been so often, and serves; or time is up."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline and site.client.engine_info().rebuilds == rebuilds:
        time.sleep(POLL_SECONDS)
    site.serve.wait_until_serving()


def _engine_processes(parent_pid: int) -> list[int]:
    """Return the children of that process that run vLLM (it names them so): below `serve` the engine, then workers."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        lines = dict(line.split(":\t", 1) for line in _read(status).splitlines() if ":\t" in line)
        if lines.get("PPid") == str(parent_pid) and "VLLM" in _read(status.with_name("cmdline")):
            found.append(int(status.parent.name))
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # the process has ended
