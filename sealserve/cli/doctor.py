"""`sealserve doctor` and `sealserve version`: check this machine and its settings."""

import typer

from sealserve.cli.session import OUR_FAULT, Session, command


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    command(app, "doctor", rich_help_panel="Start here")(doctor)
    command(app, "version", rich_help_panel="Start here")(version)


def doctor(session: Session) -> None:
    """Check this machine and its settings, with advice for each problem. Exit code 1 if a check fails."""
    from sealserve.cli import output
    from sealserve.doctor.examination import examine
    from sealserve.doctor.finding import State

    findings = examine(session.settings())
    healthy = not any(finding.state is State.FAILS for finding in findings)
    rows = ((finding.state, finding.name, finding.found, finding.advice) for finding in findings)
    session.show(
        {"healthy": healthy, "findings": findings},
        lambda: output.table(["", "check", "found", "advice"], rows, empty=""),
    )
    if not healthy:
        raise typer.Exit(OUR_FAULT)


def version(session: Session) -> None:
    """Show the versions of sealserve and its main dependencies."""
    from sealserve.cli import output
    from sealserve.doctor.packages import versions

    found = versions()
    session.show(found, lambda: output.pairs(found.items()))
