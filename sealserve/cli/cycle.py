"""`sealserve cycle`: start, follow and inspect learning cycles."""

import time
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from sealserve.cli.session import GATE_SAID_NO, MISSING, OUR_FAULT, Session, command
from sealserve.cli.tenant import Tenant
from sealserve.records.cycles import CycleState, Step
from sealserve.records.documents import DocumentState

if TYPE_CHECKING:
    from sealserve.client import Client
    from sealserve.records.reports import CycleReport
    from sealserve.records.self_edit_diff import Trials

app = typer.Typer(help="Start, follow and inspect learning cycles.")

CycleId = Annotated[str, typer.Argument(help="Cycle id; default: the newest.", show_default=False)]
_OPEN = (CycleState.PENDING, CycleState.RUNNING)
_APPEAR_SECONDS = 30.0
_POLL_SECONDS = 0.5


@command(app, "start")
def start(
    session: Session,
    tenant: Tenant,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the cycle to its end, as `cycle watch` does.")] = False,
) -> None:
    """Start a cycle for the admitted documents now; `sealserve learn` also starts cycles on its own.

    With --wait, the exit code is 5 if the gate did not promote.
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
    from sealserve.cli import output

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
    session.show({"cycles": found}, lambda: output.table(columns, rows, empty="no cycles yet"))


@command(app, "watch")
def watch(session: Session, tenant: Tenant, cycle: CycleId = "") -> None:
    """Follow a cycle to its end: a line per step, then scores and verdict. Exit code 5 if it did not promote.

    Without an id, follows the running cycle, else waits for the cycle of admitted documents, else takes the newest.
    """
    with session.client() as client:
        name = cycle or _newest(client, tenant, is_patient=True)
        report = _follow(session, client, tenant, name or _nothing_yet(session, client, tenant))
    _show(session, report)
    _exit_by(report)


@command(app, "show")
def show_cycle(
    session: Session,
    tenant: Tenant,
    cycle: CycleId = "",
    edits: Annotated[
        bool,
        typer.Option("--edits", help="Also show all self-edits (including dropped ones), recipes and changes."),
    ] = False,
) -> None:
    """Show a cycle: steps, candidates, scores, and the verdict with its reasons.

    With --edits, also shows each self-edit with its template, seed, filter result and the candidates trained on it;
    each candidate's recipe and losses; and how the admitted self-edits differ from those of an earlier cycle on the
    same document, or on an earlier document with the same title.
    """
    with session.client() as client:
        name = cycle or _newest(client, tenant, is_patient=False)
        report = client.cycle(tenant, name or _nothing_yet(session, client, tenant))
        trials = trials_of(client, report) if edits else None
    _show(session, report, trials)


def trials_of(client: "Client", report: "CycleReport") -> "Trials":
    """Return all that the cycle wrote for itself, and what changed since its documents were studied before."""
    from sealserve.records.self_edit_diff import Trials, changes

    tenant = report.cycle.tenant
    earlier = [edit for one in {s.cycle for s in report.earlier_studies} for edit in client.self_edits(tenant, one)]
    written = tuple(client.self_edits(tenant, report.cycle.cycle))
    return Trials(edits=written, changes=changes(report.earlier_studies, written, earlier))


def _nothing_yet(session: Session, client: "Client", tenant: str) -> NoReturn:
    """Print how to get a first cycle, and end with the exit code for "not found"."""
    waiting = sum(1 for _ in client.documents(tenant, state=DocumentState.ADMITTED))
    to_do = (
        f"{waiting} documents are waiting; `sealserve learn` takes them up, "
        f"or start a cycle now with: sealserve cycle start {tenant} --wait"
        if waiting
        else f"add a document first: sealserve doc add {tenant} FILE"
    )
    text = f"{tenant} has no cycles yet. Next: {to_do}"
    session.show({"cycle": None, "next": to_do}, lambda: text)
    raise typer.Exit(MISSING)


def _made(version: int | None) -> str:
    return "" if version is None else f"v{version}"


def _show(session: Session, report: "CycleReport", trials: "Trials | None" = None) -> None:
    from sealserve.cli import output, render_cycle, render_self_edits

    derived = {name: getattr(report, name) for name in ("measuring_share", "device_seconds", "seconds_per_point")}
    shown = output.plain(report) | derived
    if trials is not None:
        own = [render_self_edits.edit_json(edit, report) for edit in trials.edits]
        shown |= {"self_edits": own, "changes": output.plain(trials.changes)}
    session.show(shown, lambda: render_cycle.cycle(report, render_self_edits.render(report, trials) if trials else ()))


def _newest(client: "Client", tenant: str, *, is_patient: bool) -> str:
    """Return the newest cycle, "" if none; a patient caller waits for the next one while documents wait for it."""
    deadline = time.monotonic() + (_APPEAR_SECONDS if is_patient else 0.0)
    while True:  # documents first: once none of them waits, the cycle that took them is among the cycles
        is_awaited = next(client.documents(tenant, state=DocumentState.ADMITTED), None) is not None
        newest = next(client.cycles(tenant), None)
        is_open = newest is not None and newest.cycle.state in _OPEN
        if is_open or not is_awaited or time.monotonic() >= deadline:
            return "" if newest is None else newest.cycle.cycle
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
