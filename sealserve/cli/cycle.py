"""`sealserve cycle`: learning, from documents to a verdict."""

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
    """Follow a cycle to its end: a line for each step, then scores and verdict. Exit code 5 if it did not promote.

    Without an id: the open cycle, or the one that the waiting documents are about to get, else the newest.
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
        typer.Option("--edits", help="Show every trial too: self-edits, dropped ones included, recipes, changes."),
    ] = False,
) -> None:
    """Show a cycle: steps, candidates, scores, and the verdict with its reasons.

    With --edits: each self-edit with its template, seed, fate and the candidates trained on it; each candidate's
    recipe and losses; and how the admitted self-edits differ from those of the document's earlier study, or of an
    earlier document of the same title.
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
    """Say what to do so that there is a cycle to see, and end as for a missing thing."""
    waiting = sum(1 for _ in client.documents(tenant, state=DocumentState.ADMITTED))
    to_do = (
        f"{waiting} documents wait; they are learned by themselves while `sealserve learn` runs, "
        f"or at once with: sealserve cycle start {tenant} --wait"
        if waiting
        else f"hand a document in first: sealserve doc add {tenant} FILE"
    )
    text = f"{tenant} has no cycle yet. Next: {to_do}"
    session.show({"cycle": None, "next": to_do}, lambda: text)
    raise typer.Exit(MISSING)


def _made(version: int | None) -> str:
    return "" if version is None else f"v{version}"


def _show(session: Session, report: "CycleReport", trials: "Trials | None" = None) -> None:
    from sealserve.cli import output, render_cycle
    from sealserve.cli import render_self_edits as edits

    worked_out = {name: getattr(report, name) for name in ("measuring_share", "device_seconds", "seconds_per_point")}
    shown = output.plain(report) | worked_out
    if trials is not None:
        own = [edits.edit_json(edit, report) for edit in trials.edits]
        shown |= {"self_edits": own, "changes": output.plain(trials.changes)}
    session.show(shown, lambda: render_cycle.cycle(report, edits.render(report, trials) if trials else ()))


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
