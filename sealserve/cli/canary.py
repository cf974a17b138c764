"""`sealserve canary`: a tenant's own suites of what must not get lost, and how versions do in them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sealserve.cli.session import Session, command
from sealserve.cli.tenant import Tenant
from sealserve.records.canary_suites import CanaryItem, CanaryResult, suite_key

if TYPE_CHECKING:
    from sealserve.learning.evaluation.lm_eval_tasks import BenchmarkScore

app = typer.Typer(help="A tenant's own suites of what must not get lost: asked of every candidate, and every night.")

SuiteName = Annotated[str, typer.Argument(help="The suite's name.", show_default=False)]
_BARS = "▁▂▃▄▅▆▇█"


@command(app, "put")
def put(
    session: Session,
    tenant: Tenant,
    name: SuiteName,
    file: Annotated[Path, typer.Argument(help="JSONL: id, prompt, matcher and what it needs.", show_default=False)],
) -> None:
    """Keep a suite; other contents under the same name are a new version. At least 30 items, or nothing passes it.

    One JSON object a line: {"id", "prompt", "matcher"}, and by matcher: contains (default), exact, judge: "answer";
    regex: "pattern"; numeric: "answer", "tolerance"; choice: "choices", "answer"; json_schema: "schema". Every matcher
    but choice takes "max_tokens"; "kind" is a word of your own.
    """
    from sealserve.canaries.items import read_items
    from sealserve.cli import output

    with session.client() as client:
        kept, is_new = client.put_canary_suite(tenant, name, read_items(file))
    text = f"{suite_key(kept.name, kept.version)}: {len(kept.items)} items{'' if is_new else ', known already'}"
    session.show({**output.plain(kept), "already_known": not is_new}, lambda: output.printable(text))


@command(app, "list")
def list_suites(session: Session, tenant: Tenant) -> None:
    """List every version of a tenant's suites, newest first. Only the newest of each name is asked."""
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
        (one["name"], one["version"], one["items"], "asked" if one["is_live"] else "", one["created_at"])
        for one in shown
    )
    columns = ["suite", "version", "items", "", "put"]
    session.show({"canary_suites": shown}, lambda: output.table(columns, rows, empty="no canary suites yet"))


@command(app, "show")
def show_suite(
    session: Session,
    tenant: Tenant,
    name: SuiteName,
    version: Annotated[int, typer.Option("--version", min=0, help="Which version; 0: the newest.")] = 0,
) -> None:
    """Show a suite's items."""
    from sealserve.cli import output

    with session.client() as client:
        kept = client.canary_suite(tenant, name, version=version)
    rows = ((item.item, item.kind, item.prompt, item.matcher, _wanted(item)) for item in kept.items)
    session.show(kept, lambda: output.table(["item", "kind", "prompt", "matcher", "right"], rows, empty=""))


@command(app, "retire")
def retire(
    session: Session,
    tenant: Tenant,
    name: SuiteName,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit trail.", show_default=False)] = "",
) -> None:
    """Ask a suite no more; its versions and results stay. `canary put` brings it back."""
    from sealserve.cli import output

    with session.client() as client:
        kept = client.retire_canary_suite(tenant, name, reason=reason)
    session.show(kept, lambda: output.printable(f"{kept.name} is not asked any more"))


@command(app, "trend")
def trend(
    session: Session,
    tenant: Tenant,
    suite: Annotated[str, typer.Option("--suite", help="Only this suite's.")] = "",
    last: Annotated[int, typer.Option("--last", min=1, max=1000, help="Nights to show of each suite.")] = 30,
) -> None:
    """Show how the active version does in each suite night by night, and where it lost more than policy accepts."""
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
    columns = ["measured", "suite", "answers", "n", "share", "interval", "gain over base", ""]
    empty = "nothing yet: active versions are measured every night (learn.nightly)"
    session.show({"suites": found}, lambda: Group(output.pairs(lines), output.table(columns, rows, empty=empty)))


@command(app, "bench")
def bench(
    session: Session,
    tasks: Annotated[Path, typer.Option("--tasks", help="Folder of lm-eval task files (*.yaml).", show_default=False)],
    tenant: Annotated[str, typer.Option("--tenant", help="Whose version answers; the base model if left out.")] = "",
    version: Annotated[int, typer.Option("--version", min=0, help="Which one; 0: the active one.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Only the first so many rows of each; 0: all.")] = 0,
) -> None:
    """Ask a version standard benchmarks: lm-eval's tasks over local files, beside a running `sealserve serve`.

    Needs the extra `evals`. Data lies beside the task files, and nothing is downloaded; two small tasks are in
    policies/canaries/tasks. Nothing is judged by it.
    """
    import asyncio

    from sealserve.cli import output
    from sealserve.daemon.learn import open_context
    from sealserve.errors import InvalidArgument
    from sealserve.learning.evaluation.lm_eval import read_tasks, require_evals, run_on_version

    if version and not tenant:
        raise InvalidArgument("--version is one of a tenant's: name it with --tenant", field="version")
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
    """Return one bar a share, from 0 to 1; a dot where nothing was measured."""
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
