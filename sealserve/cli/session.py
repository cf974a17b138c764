"""The session of a command: settings, client, output, and the exit code of an error.

A command is a function whose first parameter is a `Session`; `command` registers it and adds `--config`,
`--address`, `--token` and `--json`.
"""

import functools
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from sealserve.cli.extras import missing_extra
from sealserve.errors import CallerError, DeadlineExceeded, NotFound, SealserveError, Unavailable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sealserve.client import Client
    from sealserve.settings.settings import Settings

F = TypeVar("F", bound=Callable[..., None])

OUR_FAULT, YOUR_FAULT, MISSING, UNAVAILABLE, GATE_SAID_NO = 1, 2, 3, 4, 5
"""Exit codes besides 0; the help text of `sealserve` lists them."""

Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).", show_default=False)]
Address = Annotated[str, typer.Option("--address", help="Server address, as host:port.", show_default=False)]
Token = Annotated[
    str,
    typer.Option("--token", help="Access token, else SEALSERVE_TOKEN, else admin.token.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Options accepted both before and after the command."""

    config: Path | None = None
    address: str = ""
    token: str = ""


class Session:
    """One run of one command. Heavy imports happen on first use, which keeps `--help` fast."""

    def __init__(self, shared: Shared, *, json_output: bool = False) -> None:
        self.json_output = json_output
        self._shared = shared

    def settings(self, **overrides: Any) -> "Settings":
        """Return the settings, with `--address` and `overrides` ("engine__model"; None is left out) on top.

        Raises: BadConfig.
        """
        from sealserve.settings.settings import load_settings

        given = {"serve__address": self._shared.address or None, **overrides}
        chosen = {key.replace("__", "."): value for key, value in given.items() if value is not None}
        return load_settings(self._shared.config, overrides=chosen)

    def client(self, *, timeout_seconds: float | None = None) -> "Client":
        """Return a client of the server; use it in a `with`. Raises: BadConfig."""
        from sealserve.client import Client
        from sealserve.network import reachable
        from sealserve.settings.settings import load_settings

        settings = load_settings(self._shared.config)  # --address is where to call, not where to listen
        serve = settings.serve
        address = reachable(self._shared.address or serve.address)
        bounds = {} if timeout_seconds is None else {"timeout_seconds": timeout_seconds}
        return Client(
            address,
            token=self._shared.token or _own_token(settings, address),
            tls=serve.tls(),
            insecure=serve.insecure,
            max_message_bytes=serve.max_message_bytes,
            max_file_bytes=settings.intake.max_file_bytes,
            **bounds,
        )

    def show(self, result: Any, human: Callable[[], "RenderableType"]) -> None:
        """Print the result: as one JSON line, or as `human()` renders it."""
        from sealserve.cli import output

        if self.json_output:
            sys.stdout.write(json.dumps(output.plain(result), ensure_ascii=False) + "\n")
            sys.stdout.flush()
        else:
            output.console(sys.stdout).print(human())

    def note(self, line: str) -> None:
        """Print a line of progress to stderr."""
        from sealserve.cli import output

        output.console(sys.stderr).print(output.printable(line), style="dim")

    def fail(self, error: SealserveError) -> NoReturn:
        """Print the error and end with its exit code."""
        if self.json_output:
            shown = {"error": {"reason": error.reason, "message": error.message}}
            sys.stdout.write(json.dumps(shown, ensure_ascii=False) + "\n")
        typer.secho(f"sealserve: {error.message}", err=True, fg=typer.colors.RED)
        raise typer.Exit(exit_code(error))


def _own_token(settings: "Settings", address: str) -> str:
    """Return the administrator's token, but only for the server of this data directory."""
    from sealserve.local_tokens import ADMIN_FILE, found_secret
    from sealserve.network import is_loopback, reachable

    is_own = is_loopback(address) or address == reachable(settings.serve.address)
    return found_secret(settings.data_directory / ADMIN_FILE) if is_own else ""


def exit_code(error: SealserveError) -> int:
    """Return the exit code for `error`, as the help text lists them."""
    if isinstance(error, NotFound):
        return MISSING
    if isinstance(error, Unavailable | DeadlineExceeded):
        return UNAVAILABLE
    return YOUR_FAULT if isinstance(error, CallerError) else OUR_FAULT


def command(app: typer.Typer, name: str, **settings: Any) -> Callable[[F], F]:
    """Register the decorated function as the command `name` of `app`, with the shared options."""

    def register(function: F) -> F:
        app.command(name, **settings)(_with_session(function))
        return function

    return register


def _with_session(function: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(function)
    def run(
        ctx: typer.Context,
        config: Config = None,
        address: Address = "",
        token: Token = "",
        json_output: Json = False,
        **own: Any,
    ) -> None:
        before = ctx.obj if isinstance(ctx.obj, Shared) else Shared()
        shared = Shared(config=config or before.config, address=address or before.address, token=token or before.token)
        session = Session(shared, json_output=json_output)
        try:
            function(session, **own)
        except SealserveError as error:
            session.fail(error)
        except ModuleNotFoundError as error:
            session.fail(missing_extra(error))

    added = [p for p in inspect.signature(_SHARED).parameters.values() if p.kind is not p.VAR_KEYWORD]
    own = [p for p in inspect.signature(function).parameters.values() if p.name != "session"]
    ordered = [p.replace(kind=p.KEYWORD_ONLY) for p in (*own, *added)]
    run.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in ordered}
    del run.__dict__["__wrapped__"]  # else inspection would find the original's signature
    return run


def _SHARED(  # noqa: N802 - a signature, never called
    ctx: typer.Context, config: Config = None, address: Address = "", token: Token = "", json_output: Json = False
) -> None: ...
