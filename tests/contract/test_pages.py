"""README.md, ops/docs and the runbook name only what exists, and their generated pages are fresh."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperGroup, TyperOption

from sealserve.cli.app import app
from tests.contract import cli_page
from tests.contract.tree import ROOT, pages

TEXT = "\n".join(pages().values())
BASES = [ROOT, ROOT / "sealserve", ROOT / "sealserve/learning", ROOT / "policies"]
"""Where a path in the text may begin."""

DOCUMENTS = [
    ROOT / "README.md", *sorted((ROOT / "ops").rglob("*.md")), *sorted((ROOT / "policies").rglob("*.md")),
    *sorted((ROOT / "sealserve").rglob("*.md")),
]  # fmt: skip


def _blocks(language: str) -> Iterator[str]:
    return iter(re.findall(rf"(?ms)^```{language}\n(.*?)^```$", TEXT))


def _command_lines() -> list[str]:
    lines = [line for block in _blocks("console") for line in block.splitlines()]
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


@pytest.mark.parametrize("words", sorted(set(re.findall(r"`sealserve ([a-z -]+)`", TEXT))))
def test_command_named_in_the_text_exists(words: str) -> None:
    command, rest = _resolve(words.split())
    options = {name for p in command.params if isinstance(p, TyperOption) for name in (*p.opts, *p.secondary_opts)}
    assert [word for word in rest if word not in options] == []


def test_every_command_is_named() -> None:
    assert [path for path, _ in cli_page.commands() if f"`sealserve {' '.join(path)}" not in TEXT] == []


def test_the_command_page_shows_the_commands_as_they_are() -> None:
    shown = cli_page.PATH.read_text(encoding="utf-8")
    assert shown == cli_page.page(), "run: .venv/bin/python -m tests.contract.cli_page"


def test_scripts_shown_exist() -> None:
    shown = set(re.findall(r"(?<![\w/])ops/[\w./-]*\w", TEXT))
    assert shown
    assert sorted(path for path in shown if not (ROOT / path).exists()) == []


def test_files_and_folders_named_exist() -> None:
    named = {path for path in re.findall(r"`([\w.-]+/[\w./-]*)`", _documents()) if _is_ours(path)}
    assert named
    assert sorted(path for path in named if not any((base / path).exists() for base in BASES)) == []


def test_modules_shown_with_python_m_exist() -> None:
    named = set(re.findall(r"python -m ((?:sealserve|tests)(?:\.\w+)+)", _documents()))
    assert named
    assert sorted(name for name in named if importlib.util.find_spec(name) is None) == []


def test_every_package_has_its_line_in_the_architecture() -> None:
    packages = [path.parent.name for path in sorted((ROOT / "sealserve").glob("*/__init__.py"))]
    page = pages()["ops/docs/architecture.md"]
    assert [name for name in packages if f"| `sealserve/{name}/` |" not in page] == []


def test_checks_named_beside_a_promise_exist() -> None:
    rows = [line for line in pages()["ops/docs/guarantees.md"].splitlines() if line.startswith("| ")]
    promises = [row for row in rows if not row.startswith("| promise ")]
    assert promises
    assert [row for row in promises if not re.search(r"`(tests/[\w/]+|sealserve bench [a-z]+)`", row)] == []
    named = [path for row in promises for path in re.findall(r"`(tests/[\w/]+)`", row)]
    assert [path for path in named if not list((ROOT / path).glob("test_*.py"))] == []


def test_python_shown_compiles_and_its_imports_resolve() -> None:
    blocks = list(_blocks("python"))
    assert blocks
    for block in blocks:
        compile(block, "page", "exec")
        for module, names in re.findall(r"(?m)^from ([\w.]+) import (.+)$", block):
            assert all(hasattr(importlib.import_module(module), name.strip()) for name in names.split(","))


def test_links_lead_somewhere() -> None:
    broken = []
    for path in DOCUMENTS:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", path.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            file = path.parent / target if target else path
            if not file.exists() or (anchor and anchor not in _anchors(file.read_text(encoding="utf-8"))):
                broken.append(f"{path.name}: {target}#{anchor}")
    assert broken == []


def _documents() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)


def _is_ours(path: str) -> bool:
    """Whether it begins with a folder of the project, and is no template."""
    return any((base / path.partition("/")[0]).is_dir() for base in BASES)


def _anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


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
