"""The `sealserve` command with all its subcommands.

Imports only what help texts need; each command imports the rest when it runs.
"""

from pathlib import Path
from typing import Annotated

import typer

from sealserve.cli import (
    adapter,
    approvals,
    ask,
    audit,
    backup,
    bench,
    canary,
    cycle,
    doc,
    doctor,
    editor,
    evaluation,
    feedback,
    key,
    lineage,
    model,
    nano,
    policy,
    run,
    source,
    tenant,
    token,
    tune,
    watch,
)
from sealserve.cli.session import Shared

_EPILOG = """
Exit codes: 0 success; 1 internal error or a failed check; 2 invalid usage, settings or request; 3 not found;
4 unavailable, try again; 5 not promoted by the gate. With --json, a failure prints {"error": {"reason", "message"}}.
Settings come from --config or SEALSERVE_CONFIG; SEALSERVE_<SECTION>__<KEY> overrides a single key.
The token comes from --token or SEALSERVE_TOKEN, else from admin.token in the data directory.
"""

app = typer.Typer(
    name="sealserve",
    help="Keeps a language model up to date, per tenant, while it serves. New here? Run `sealserve demo`.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

doctor.register(app)
run.register(app)
tune.register(app)
ask.register(app)
lineage.register(app)
backup.register(app)
app.add_typer(tenant.app, name="tenant", rich_help_panel="Use")
app.add_typer(doc.app, name="doc", rich_help_panel="Use", no_args_is_help=True)
app.add_typer(source.app, name="source", rich_help_panel="Use", no_args_is_help=True)
app.add_typer(cycle.app, name="cycle", rich_help_panel="Use", no_args_is_help=True)
app.add_typer(editor.app, name="editor", rich_help_panel="Use", no_args_is_help=True)
app.add_typer(model.app, name="model", rich_help_panel="Run", no_args_is_help=True)
app.add_typer(adapter.app, name="adapter", rich_help_panel="Use", no_args_is_help=True)
app.add_typer(watch.app, name="watch", rich_help_panel="Use", no_args_is_help=True)
app.add_typer(approvals.app, name="approvals", rich_help_panel="Use", no_args_is_help=True)
app.add_typer(feedback.feedback, name="feedback", rich_help_panel="Use", no_args_is_help=True)
app.add_typer(evaluation.evaluation, name="evaluation", rich_help_panel="Use", no_args_is_help=True)
app.add_typer(canary.app, name="canary", rich_help_panel="Use", no_args_is_help=True)
app.add_typer(token.app, name="token", rich_help_panel="Use", no_args_is_help=True)
app.add_typer(key.app, name="key", rich_help_panel="Use", no_args_is_help=True)
app.add_typer(audit.app, name="audit", rich_help_panel="Use", no_args_is_help=True)
app.add_typer(policy.app, name="policy", rich_help_panel="Use", no_args_is_help=True)
app.add_typer(bench.bench, name="bench", rich_help_panel="Measure")
app.add_typer(nano.nano, name="nano", rich_help_panel="Measure")


@app.callback()
def options(
    ctx: typer.Context,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).", show_default=False)] = None,
    address: Annotated[str, typer.Option("--address", help="Server address, as host:port.", show_default=False)] = "",
    token: Annotated[
        str, typer.Option("--token", envvar="SEALSERVE_TOKEN", help="Access token.", show_default=False)
    ] = "",
) -> None:
    """Store the options given before the command."""
    ctx.obj = Shared(config=config, address=address, token=token)


def main() -> None:
    """Run the command line."""
    app()
