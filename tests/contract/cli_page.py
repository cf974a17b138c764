"""Writes ops/docs/cli.md from the commands themselves: `python -m tests.contract.cli_page`."""

from collections.abc import Iterator
from enum import Enum
from typing import Any

import typer
from typer.core import TyperArgument, TyperGroup, TyperOption

from sealserve.cli.app import app
from tests.contract.tree import ROOT

PATH = ROOT / "ops/docs/cli.md"

INTRODUCTION = """\
# The command line

<!-- Generated from the commands by `python -m tests.contract.cli_page`; do not edit. -->

`sealserve COMMAND --help` prints the same text. Most commands call the server at `serve.address`. A few work on the
registry and the data directory instead, so they run where the daemon runs: `sealserve lineage`, `sealserve policy`,
`sealserve editor`, `sealserve canary bench`, `sealserve adapter export`, `sealserve adapter import`,
`sealserve audit export`, `sealserve audit rotate-key`, `sealserve key`, `sealserve backup` and `sealserve restore`. The
[settings](configuration.md) say where both are.
"""


def page() -> str:
    """Return the page: what all commands share, a list of them, then each with its arguments and options."""
    root = _root()
    leaves = [command for path, command in commands() if not isinstance(command, TyperGroup)]
    shared = [p for p in leaves[0].params if all(_option_names(p) in map(_option_names, one.params) for one in leaves)]
    names = {_option_names(p) for p in shared}
    return "".join(
        [
            INTRODUCTION,
            f"\n```text\n{(root.epilog or '').strip()}\n```\n",
            f"\nEvery command also takes these options:\n\n{_table(shared)}",
            "\n## Commands\n\n",
            *(
                f"- [`sealserve {name}`](#sealserve-{name}): {_escaped(_first(one))}\n"
                for name, one in _listed(root).items()
            ),
            *(_entry(path, command, shared=names) for path, command in commands()),
        ]
    )


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield (path, command) of every command and group below `sealserve`, in the order of the help text."""
    yield from _walk((), _root())


def _root() -> TyperGroup:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    return root


def _walk(path: tuple[str, ...], group: TyperGroup) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in _listed(group).items():
        yield (*path, name), command
        if isinstance(command, TyperGroup):
            yield from _walk((*path, name), command)


def _listed(group: TyperGroup) -> dict[str, Any]:
    return {name: command for name, command in group.commands.items() if not command.hidden}


def _entry(path: tuple[str, ...], command: Any, *, shared: set[str]) -> str:
    heading = f"\n{'#' * (1 + len(path))} `sealserve {' '.join(path)}`\n\n"
    paragraphs = [" ".join(part.split()) for part in (command.help or "").split("\n\n")]
    words = "".join(f"{_escaped(part)}\n\n" for part in paragraphs)
    if isinstance(command, TyperGroup):
        return heading + words.rstrip("\n") + "\n"
    own = [p for p in command.params if _option_names(p) not in shared]
    usage = " ".join(["sealserve", *path, *(_usage(p) for p in own if isinstance(p, TyperArgument)), "[OPTIONS]"])
    table = f"\n{_table(own)}" if own else ""
    return f"{heading}{words}```text\n{usage}\n```\n{table}"


def _usage(argument: TyperArgument) -> str:
    name = _shown(argument) + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _table(parameters: list[Any]) -> str:
    rows = (f"| `{_shown(p)}` | {_value(p)} | {_escaped(' '.join((p.help or '').split()))} |\n" for p in parameters)
    return "| argument or option | value | meaning |\n|---|---|---|\n" + "".join(rows)


def _shown(parameter: Any) -> str:
    return _option_names(parameter) if isinstance(parameter, TyperOption) else str(parameter.name).upper()


def _option_names(parameter: Any) -> str:
    return " / ".join([*parameter.opts, *parameter.secondary_opts])


def _value(parameter: Any) -> str:
    """What may be given: a flag, the choices, or the type; with the default where there is one."""
    kind = parameter.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        told = ", ".join(f"`{one.value}`" for one in kind)
    else:
        told = "flag" if kind is bool else getattr(kind, "__name__", str(kind)).lower()
    told = {"str": "text", "int": "number", "float": "number", "list": "text"}.get(told, told)
    if parameter.required:
        return f"{told}; required"
    default = parameter.default
    if getattr(parameter, "multiple", False):
        told += "; may be repeated"
    if default in (None, "", False):
        return told
    return f"{told}; default `{default}`" if kind is not bool else f"{told}; on by default"


def _first(command: Any) -> str:
    return " ".join((command.help or "").split("\n\n")[0].split())


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PATH.write_text(page(), encoding="utf-8")
