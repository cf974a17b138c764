"""`sealserve policy`: test rules, explain a decision, and replay decisions under other rules.

These commands open the registry directly: run them on the daemon's machine.
"""

from pathlib import Path
from typing import Annotated

import typer

from sealserve.cli.local_registry import registry_of
from sealserve.cli.session import GATE_SAID_NO, Session, command

app = typer.Typer(help="Test policy rules, explain a decision, replay decisions under new rules.")

Folder = Annotated[Path | None, typer.Argument(help="Directory with rules/ and tests/rules/.", show_default=False)]


@command(app, "test")
def check_rules(session: Session, folder: Folder = None) -> None:
    """Load rules and run their golden cases. Exit code 5 if a case fails, 2 if the rules cannot be loaded."""
    from sealserve.cli import output
    from sealserve.policy.bundle import load_bundle
    from sealserve.policy.golden_cases import check, read_cases

    directory = _directory(session, folder)
    bundle = load_bundle(directory)
    checked = check(bundle, read_cases(directory))
    wrong = [one for one in checked if not one.is_right]
    result = {"bundle": bundle.digest, "rules": len(bundle.rules), "cases": checked, "failed": len(wrong)}
    rows = (("ok" if one.is_right else "FAILED", one.name, one.found) for one in checked)
    session.show(result, lambda: output.table(["", "case", "found"], rows, empty="no cases"))
    if wrong:
        raise typer.Exit(GATE_SAID_NO)


@command(app, "list")
def list_decisions(
    session: Session,
    tenant: Annotated[str, typer.Option(help="Only this tenant; default: all.", show_default=False)] = "",
    last: Annotated[int, typer.Option(min=1, help="Maximum number of decisions.")] = 50,
) -> None:
    """List decisions, newest first."""
    from sealserve.cli import output

    with registry_of(session) as registry:
        found = registry.policy_decisions.page(tenant=tenant or None, last=last)
    rows = ((one.ruling, one.decided_at, one.tenant, one.event, one.subject, one.effect) for one in found)
    columns = ["decision", "when", "tenant", "event", "subject", "effect"]
    session.show({"decisions": found}, lambda: output.table(columns, rows, empty="no decisions yet"))


@command(app, "explain")
def explain(session: Session, decision: Annotated[str, typer.Argument(help="Its id.", show_default=False)]) -> None:
    """Show a decision: its input, the result of every rule, and the bundle."""
    from sealserve.cli import output

    with registry_of(session) as registry:
        found = registry.policy_decisions.get(decision)
    pairs = [
        ("decision", found.ruling),
        ("effect", found.effect),
        ("event", found.event),
        ("subject", found.subject),
        ("when", found.decided_at),
        ("bundle", found.bundle),
        *((f"rule {one.rule}", f"{one.effect} {one.reason} {one.error}".strip()) for one in found.results),
        *((f"input {name}", str(value)) for name, value in found.input.items()),
    ]
    session.show(found, lambda: output.pairs(pairs))


@command(app, "replay")
def replay(
    session: Session,
    bundle: Annotated[Path, typer.Option(help="Directory with the new rules.", show_default=False)],
    last: Annotated[int, typer.Option(min=1, help="Number of decisions, from the newest.")] = 100,
) -> None:
    """Evaluate recorded inputs under other rules, and show which decisions would change."""
    from sealserve.cli import output
    from sealserve.policy.evaluate import decide
    from sealserve.policy.events import Event
    from sealserve.policy.rulebook import proven_bundle

    rules = proven_bundle(bundle)
    with registry_of(session) as registry:
        found = registry.policy_decisions.page(last=last)
    changed = [
        {"decision": one.ruling, "event": one.event, "about": one.subject, "was": one.effect, "would_be": now.effect}
        for one in found
        if (now := decide(rules.of(one.tenant), Event(one.event), one.input)).effect is not one.effect
    ]
    result = {"bundle": rules.digest, "replayed": len(found), "changed": changed}
    columns = ["decision", "event", "subject", "was", "would be"]
    rows = (tuple(one.values()) for one in changed)
    session.show(result, lambda: output.table(columns, rows, empty=f"none of {len(found)} decisions would change"))


def _directory(session: Session, folder: Path | None) -> Path:
    from sealserve.packaged_policies import policy_directory

    return folder or session.settings().policy.rules or policy_directory()
