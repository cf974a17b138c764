"""README.md tells the truth: its commands exist with the options shown, its scripts run, its Python compiles."""

import importlib
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperGroup, TyperOption

from sealserve.cli.app import app
from tests.contract.tree import ROOT

TEXTS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", ROOT / "ops/runbook.md")}
README = TEXTS["README.md"]


def _blocks(text: str, language: str) -> Iterator[str]:
    return iter(re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text))


def _command_lines() -> list[str]:
    lines = [line for text in TEXTS.values() for block in _blocks(text, "console") for line in block.splitlines()]
    return sorted(
        {line.removeprefix("$ ").strip() for line in lines if re.match(r"(\$ )?(\.venv/bin/)?sealserve ", line)}
    )


@pytest.mark.parametrize("line", _command_lines())
def test_command_shown_exists_with_its_arguments(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command, rest = _resolve(words)
    assert not isinstance(command, TyperGroup), f"{line}: needs a subcommand"
    options = {name: p for p in command.params if isinstance(p, TyperOption) for name in (*p.opts, *p.secondary_opts)}
    arguments = [p for p in command.params if not isinstance(p, TyperOption)]
    while rest:
        word = rest.pop(0)
        if word.startswith("-"):
            assert word in options, f"{line}: no option {word}"
            del rest[: 0 if options[word].is_flag else 1]
        else:
            assert arguments, f"{line}: does not take {word}"
            del arguments[: 1 if arguments[0].nargs == 1 else 0]
    assert [p.name for p in arguments if p.required and p.nargs == 1] == []


@pytest.mark.parametrize("words", re.findall(r"`sealserve ([a-z -]+)`(?:, `|[^`])", README))
def test_command_named_in_the_text_exists(words: str) -> None:
    command, rest = _resolve(words.split())
    options = {name for p in command.params if isinstance(p, TyperOption) for name in (*p.opts, *p.secondary_opts)}
    assert [word for word in rest if word not in options] == []


def test_every_command_is_named_in_readme() -> None:
    top = typer.main.get_command(app)
    assert isinstance(top, TyperGroup)
    assert [name for name in top.commands if f"`sealserve {name}" not in README] == []


def test_scripts_shown_exist() -> None:
    shown = {word for text in TEXTS.values() for word in re.findall(r"(?<![\w/])ops/[\w./-]*\w", text)}
    assert shown
    assert sorted(path for path in shown if not (ROOT / path).exists()) == []


def test_it_opens_with_the_two_commands() -> None:
    first = next(_blocks(README, "console"))
    assert [line.split()[0] for line in first.splitlines()] == ["ops/demo", "ops/test"]


def test_python_shown_compiles_and_its_imports_resolve() -> None:
    blocks = list(_blocks(README, "python"))
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")
        for module, names in re.findall(r"(?m)^from ([\w.]+) import (.+)$", block):
            assert all(hasattr(importlib.import_module(module), name.strip()) for name in names.split(","))


def test_checks_named_beside_a_promise_exist() -> None:
    named = re.findall(r"`(tests/\w+)`", README)
    assert named
    assert [path for path in named if not list((ROOT / path).glob("test_*.py"))] == []


def _resolve(words: list[str]) -> tuple[Any, list[str]]:
    """Walk down the groups, passing over the options that stand before a command."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while isinstance(command, TyperGroup) and rest:
        options: dict[str, Any] = {name: p for p in command.params for name in p.opts}
        if rest[0] in options:
            del rest[: 1 if options[rest[0]].is_flag else 2]
            continue
        assert rest[0] in command.commands, f"no command: sealserve {' '.join(words)}"
        command = command.commands[rest.pop(0)]
    return command, rest
