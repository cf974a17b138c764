"""`sealserve cycle`: learning, from documents to a verdict."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from sealserve.commands.session import GATE_SAID_NO, OUR_FAULT, Session, command
from sealserve.commands.tenants import Tenant
from sealserve.errors import NotFound
from sealserve.records import CycleState, DocumentState, Step

if TYPE_CHECKING:
    from sealserve.client import Client
    from sealserve.views import CycleReport

app = typer.Typer(help="Learning: start cycles, follow them, see self-edits, scores and verdicts.")

CycleId = Annotated[str, typer.Argument(help="The cycle's id; the newest if left out.", show_default=False)]
_OPEN = (CycleState.PENDING, CycleState.RUNNING)
_APPEAR_SECONDS = 30.0
_POLL_SECONDS = 0.5


@command(app, "start")
def start(
    session: Session,
    tenant: Tenant,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end, as `cycle watch` does.")] = False,
) -> None:
    """Learn the admitted documents now. (They are also gathered into cycles by themselves.)

    With --wait: exit code 5 if the gate did not promote.
    """
    with session.client() as client:
        started = client.start_cycle(tenant)
        report = _follow(session, client, tenant, started.cycle.cycle) if wait else started
    _show(session, report)
    if wait:
        _exit_by(report)


@command(app, "list")
def list_cycles(session: Session, tenant: Tenant) -> None:
    """List cycles, newest first."""
    from sealserve.commands import show

    with session.client() as client:
        found = [report.cycle for report in client.cycles(tenant)]
    rows = (
        (
            one.cycle,
            one.state,
            one.step or "",
            _made(one.version),
            one.created_at,
            one.reason,
        )
        for one in found
    )
    columns = ["cycle", "state", "last step", "version", "started", "reason"]
    session.show({"cycles": found}, lambda: show.table(columns, rows, empty="no cycles yet"))


@command(app, "watch")
def watch(session: Session, tenant: Tenant, cycle: CycleId = "") -> None:
    """Follow a cycle to its end: a line for each step, then scores and verdict. Exit code 5 if it did not promote.

    Without an id: the open cycle, or the one that the waiting documents are about to get, else the newest.
    """
    with session.client() as client:
        report = _follow(session, client, tenant, cycle or _newest(client, tenant, is_patient=True))
    _show(session, report)
    _exit_by(report)


@command(app, "show")
def show_cycle(
    session: Session,
    tenant: Tenant,
    cycle: CycleId = "",
    edits: Annotated[bool, typer.Option("--edits", help="Show the self-edits too, dropped ones included.")] = False,
) -> None:
    """Show a cycle: steps, candidates, scores, and the verdict with its reasons."""
    from sealserve.commands import render, show

    with session.client() as client:
        name = cycle or _newest(client, tenant, is_patient=False)
        report = client.cycle(tenant, name)
        written = list(client.self_edits(tenant, name)) if edits else None
    shown = {**show.plain(report), **({} if written is None else {"self_edits": show.plain(written)})}
    session.show(shown, lambda: render.cycle(report, written or ()))


def _made(version: int | None) -> str:
    return "" if version is None else f"v{version}"


def _show(session: Session, report: "CycleReport") -> None:
    from sealserve.commands import render

    session.show(report, lambda: render.cycle(report, ()))


def _newest(client: "Client", tenant: str, *, is_patient: bool) -> str:
    """Return the newest cycle; a patient caller waits for the next one while documents wait for it.

    Raises: NotFound (no cycle).
    """
    deadline = time.monotonic() + (_APPEAR_SECONDS if is_patient else 0.0)
    while True:
        newest = next(client.cycles(tenant), None)
        is_open = newest is not None and newest.cycle.state in _OPEN
        is_awaited = not is_open and next(client.documents(tenant, state=DocumentState.ADMITTED), None) is not None
        if newest is not None and not (is_awaited and time.monotonic() < deadline):
            return newest.cycle.cycle
        if not is_awaited or time.monotonic() >= deadline:
            raise NotFound(f"tenants/{tenant}/cycles/-", kind="cycle")
        time.sleep(_POLL_SECONDS)


def _follow(session: Session, client: "Client", tenant: str, cycle: str) -> "CycleReport":
    """Note each step as it ends; return the cycle once it has ended."""
    known: set[Step] = set()
    for report in client.watch_cycle(tenant, cycle):
        for done in report.steps:
            if done.step not in known:
                known.add(done.step)
                session.note(f"{done.step.value:8} {done.seconds:7.1f} s")
    return client.cycle(tenant, cycle)


def _exit_by(report: "CycleReport") -> None:
    state = report.cycle.state
    if state is CycleState.FAILED:
        raise typer.Exit(OUR_FAULT)
    if state is not CycleState.PROMOTED:
        raise typer.Exit(GATE_SAID_NO)
