"""`sealserve editor`: the outer loop, which trains the adapters that write self-edits."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sealserve.cli.local_registry import registry_of
from sealserve.cli.session import GATE_SAID_NO, Session, command
from sealserve.cli.tenant import Tenant

if TYPE_CHECKING:
    from sealserve.learning.editor.store import Editors, Round

app = typer.Typer(help="Train and inspect a tenant's editor, the adapter that writes its self-edits.")

Chosen = Annotated[str, typer.Argument(help="Only this tenant; default: all.", show_default=False)]


@command(app, "round")
def play_round(session: Session, tenant: Chosen = "") -> None:
    """Run one round now, through a running `sealserve serve`: sample, train, measure, tune the editor, judge it.

    Takes minutes. Exit code 5 if no editor was promoted. learn.editor.rounds runs rounds automatically.
    """
    import asyncio

    from sealserve.daemon.learn import play_rounds

    rounds = asyncio.run(play_rounds(session.settings(), tenant))
    session.show({"rounds": [round_json(name, one) for name, one in rounds]}, lambda: _table(rounds))
    if not any(one.is_promoted for _, one in rounds):
        raise typer.Exit(GATE_SAID_NO)


@command(app, "show")
def show_editors(session: Session, tenant: Tenant) -> None:
    """Show the tenant's editor, each round with its gain and cost, and the best recipes so far.

    With --json, also shows every trial: its recipe, its score on each half of the quiz, and whether it won.
    """
    from sealserve.cli import output
    from sealserve.gate.thresholds import load_policy
    from sealserve.learning.editor.costs import has_dipped, seconds_per_point, total
    from sealserve.learning.editor.rounds import WINDOW
    from sealserve.learning.editor.store import read_editors

    settings = session.settings()
    with registry_of(session) as registry:
        editors = read_editors(registry, tenant)
    spent = total(editors.spent)
    shown: dict[str, Any] = {
        "tenant": tenant,
        "active": editors.active,
        "device_seconds": round(spent.device_seconds, 1),
        "tokens": spent.tokens,
        "candidates": spent.candidates,
        "seconds_per_confirmed_point": seconds_per_point(editors.spent),
        "returns_dipped": has_dipped(
            editors.spent, window=WINDOW, share=load_policy(settings.policy.thresholds).editor.dip
        ),
        "rounds": [round_json(tenant, one) for one in editors.rounds],
        "recipes": [output.plain(one) for one in _best(editors)],
    }
    session.show(shown, lambda: _table([(tenant, one) for one in editors.rounds]))


def round_json(tenant: str, one: "Round") -> dict[str, Any]:
    """Return a round as JSON values."""
    from sealserve.cli import output

    values: dict[str, Any] = output.plain(one)
    return {"tenant": tenant, **values}


def _table(rounds: "list[tuple[str, Round]]") -> Any:
    from sealserve.cli import output

    rows = (
        (
            tenant,
            one.round,
            "promoted" if one.is_promoted else "not promoted",
            f"{one.gain.gain:+.3f} [{one.gain.gain_low:+.3f}, {one.gain.gain_high:+.3f}]"
            if one.gain
            else "not measured",
            one.winners,
            f"{one.cost.device_seconds:.0f} s, {one.cost.tokens} tokens, {one.cost.candidates} adapters",
            one.reason,
        )
        for tenant, one in rounds
    )
    columns = ["tenant", "round", "outcome", "gain on held-out documents", "winners", "cost", "reason"]
    return output.table(
        columns, rows, empty="no rounds yet; the base model writes the self-edits. Next: sealserve editor round"
    )


def _best(editors: "Editors", n: int = 5) -> list[dict[str, Any]]:
    return sorted(editors.archive, key=lambda one: -one["score"])[:n]
