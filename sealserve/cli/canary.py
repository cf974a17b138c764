"""`sealserve canary`: a tenant's regression suites and their results."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sealserve.cli.session import Session, command
from sealserve.cli.tenant import Tenant
from sealserve.records.canary_suites import CanaryItem, CanaryResult, suite_key

if TYPE_CHECKING:
    from sealserve.learning.evaluation.lm_eval_tasks import BenchmarkScore

app = typer.Typer(help="Manage a tenant's regression suites, which run on every candidate and every night.")

SuiteName = Annotated[str, typer.Argument(help="Suite name.", show_default=False)]
_BARS = "▁▂▃▄▅▆▇█"


@command(app, "put")
def put(
    session: Session,
    tenant: Tenant,
    name: SuiteName,
    file: Annotated[Path, typer.Argument(help="JSONL file: id, prompt, matcher and its fields.", show_default=False)],
) -> None:
    """Submit a suite; changed contents under the same name become a new version. Use 30 items or more.

    No candidate passes a suite of fewer items. One JSON object per line: {"id", "prompt", "matcher"}, and the fields of
    the matcher. contains (default), exact, judge: "answer"; regex: "pattern"; numeric: "answer", "tolerance";
    choice: "choices", "answer"; json_schema: "schema"; refusal: none. Every matcher except choice takes "max_tokens";
    "kind" is a label of your own.
    """
    from sealserve.canaries.items import read_items
    from sealserve.cli import output

    with session.client() as client:
        kept, is_new = client.put_canary_suite(tenant, name, read_items(file))
    text = f"{suite_key(kept.name, kept.version)}: {len(kept.items)} items{'' if is_new else ', already known'}"
    session.show({**output.plain(kept), "already_known": not is_new}, lambda: output.printable(text))


@command(app, "list")
def list_suites(session: Session, tenant: Tenant) -> None:
    """List all versions of a tenant's suites, newest first. Only the newest version of each suite runs."""
    from sealserve.cli import output

    with session.client() as client:
        found = list(client.canary_suites(tenant))
    newest = {one.name: one.version for one, _ in reversed(found)}
    shown = [
        {"name": one.name, "version": one.version, "items": count, "digest": one.digest, "created_at": one.created_at,
         "retired_at": one.retired_at, "is_live": one.version == newest[one.name] and one.retired_at is None}
        for one, count in found
    ]  # fmt: skip
    rows = (
        (one["name"], one["version"], one["items"], "in use" if one["is_live"] else "", one["created_at"])
        for one in shown
    )
    columns = ["suite", "version", "items", "", "submitted"]
    session.show({"canary_suites": shown}, lambda: output.table(columns, rows, empty="no canary suites yet"))


@command(app, "show")
def show_suite(
    session: Session,
    tenant: Tenant,
    name: SuiteName,
    version: Annotated[int, typer.Option("--version", min=0, help="Version of the suite; 0 is the newest.")] = 0,
) -> None:
    """Show a suite's items."""
    from sealserve.cli import output

    with session.client() as client:
        kept = client.canary_suite(tenant, name, version=version)
    rows = ((item.item, item.kind, item.prompt, item.matcher, _wanted(item)) for item in kept.items)
    session.show(kept, lambda: output.table(["item", "kind", "prompt", "matcher", "expected"], rows, empty=""))


@command(app, "retire")
def retire(
    session: Session,
    tenant: Tenant,
    name: SuiteName,
    reason: Annotated[
        str, typer.Option("--reason", help="Reason, recorded in the audit log.", show_default=False)
    ] = "",
) -> None:
    """Stop running a suite. Its versions and results are kept; `canary put` restores it."""
    from sealserve.cli import output

    with session.client() as client:
        kept = client.retire_canary_suite(tenant, name, reason=reason)
    session.show(kept, lambda: output.printable(f"{kept.name} is retired"))


@command(app, "trend")
def trend(
    session: Session,
    tenant: Tenant,
    suite: Annotated[str, typer.Option("--suite", help="Only this suite.")] = "",
    last: Annotated[int, typer.Option("--last", min=1, max=1000, help="Number of nights per suite.")] = 30,
) -> None:
    """Show nightly results of the active version per suite, and regressions beyond what policy accepts."""
    from rich.console import Group

    from sealserve.cli import output

    with session.client() as client:
        found = _by_suite(client.canary_results(tenant, suite=suite), last=last)
    lines = ((name, sparkline([one.share if one.n else None for one in points])) for name, points in found.items())
    rows = (
        (one.taken_at, name, output.version_name(one.version), *_numbers(one))
        for name, points in found.items()
        for one in points
    )
    columns = ["measured", "suite", "version", "n", "share", "interval", "gain over base", ""]
    empty = "no results yet; active versions are measured every night (learn.nightly)"
    session.show({"suites": found}, lambda: Group(output.pairs(lines), output.table(columns, rows, empty=empty)))


@command(app, "bench")
def bench(
    session: Session,
    tasks: Annotated[Path, typer.Option("--tasks", help="Directory of lm-eval task files.", show_default=False)],
    tenant: Annotated[str, typer.Option("--tenant", help="Tenant of the version; default: the base model.")] = "",
    version: Annotated[int, typer.Option("--version", min=0, help="Version; 0 is the active one.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Maximum number of rows per task; 0 for all.")] = 0,
) -> None:
    """Run lm-eval tasks on a version, through a running `sealserve serve`.

    Requires the extra `evals`. The data must be next to the task files, nothing is downloaded; two small tasks are in
    policies/canaries/tasks. The results do not affect any verdict.
    """
    import asyncio

    from sealserve.cli import output
    from sealserve.daemon.learn import open_context
    from sealserve.errors import InvalidArgument
    from sealserve.learning.evaluation.lm_eval import read_tasks, require_evals, run_on_version

    if version and not tenant:
        raise InvalidArgument("--version requires --tenant", field="version")
    require_evals()
    chosen = read_tasks(tasks)

    async def measure() -> "tuple[int, tuple[BenchmarkScore, ...]]":
        async with open_context(session.settings()) as context:
            return await run_on_version(context, tenant, version, tasks=chosen, limit=limit or None)

    answered, scores = asyncio.run(measure())
    rows = ((one.task, one.n, one.metric, one.value, "" if one.error is None else one.error) for one in scores)
    shown = {"tenant": tenant, "version": answered, "scores": scores}
    session.show(shown, lambda: output.table(["task", "n", "metric", "value", "standard error"], rows, empty=""))


def sparkline(shares: Sequence[float | None]) -> str:
    """Return one bar per share from 0 to 1, and a dot for a night without a measurement."""
    top = len(_BARS) - 1
    return "".join("·" if share is None else _BARS[round(min(max(share, 0.0), 1.0) * top)] for share in shares)


def _by_suite(results: Iterable[CanaryResult], *, last: int) -> dict[str, list[CanaryResult]]:
    """The newest `last` of each suite's version, oldest first."""
    found: dict[str, list[CanaryResult]] = {}
    for one in results:
        name = suite_key(one.suite, one.suite_version) if one.suite_version else one.suite
        found.setdefault(name, []).append(one)
    return {name: list(reversed(points[:last])) for name, points in sorted(found.items())}


def _numbers(one: CanaryResult) -> tuple[str, ...]:
    if not one.n:
        return ("", "", "", "", f"not measured: {one.why}")
    fell = f"fell below {' and '.join(one.fell)}" if one.fell else ""
    gain = f"{one.gain:+.3f} [{one.gain_low:+.3f}, {one.gain_high:+.3f}]"
    return (str(one.n), f"{one.share:.3f}", f"{one.low:.3f} … {one.high:.3f}", gain, fell)


def _wanted(item: CanaryItem) -> str:
    within = f" ± {item.tolerance:g}" if item.tolerance else ""
    among = f" of {', '.join(item.choices)}" if item.choices else ""
    return f"{item.answer}{within}{among}" or item.pattern or item.schema
