"""The project's files as the contract tests see them: paths, text and syntax trees."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOP = ("pyproject.toml", "README.md", "Dockerfile", ".ci", "sealserve", "proto", "policies", "ops", "tests")
MAX_TEXT_BYTES = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Module:
    """One hand-written Python file; `name` is its dotted path, `path` is relative to the root."""

    name: str
    path: str
    text: str
    tree: ast.Module
    nodes: tuple[ast.AST, ...]  # of the whole tree, without contexts: walking it takes longer than any rule

    @property
    def is_test(self) -> bool:
        """Whether it lives under tests/."""
        return self.path.startswith("tests/")


def files() -> list[Path]:
    """Return every file of the project, caches left out."""
    found: list[Path] = []
    for name in TOP:
        path = ROOT / name
        found += [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return [path for path in found if "__pycache__" not in path.parts]


def text_files() -> list[tuple[str, str]]:
    """Return (path, text) of every file that is text."""
    found = []
    for path in files():
        raw = path.read_bytes()
        if len(raw) <= MAX_TEXT_BYTES and b"\0" not in raw:
            found.append((relative(path), raw.decode("utf-8", errors="replace")))
    return found


@cache
def pages() -> dict[str, str]:
    """Return the text of each page that users read, by path: the README, the documentation and the runbook."""
    found = [ROOT / "README.md", *sorted((ROOT / "ops/docs").glob("*.md")), ROOT / "ops/runbook.md"]
    return {relative(path): path.read_text(encoding="utf-8") for path in found}


@cache
def modules() -> tuple[Module, ...]:
    """Return every Python file but the generated stubs in sealserve/v1."""
    found = (path for path in files() if path.suffix == ".py" and not relative(path).startswith("sealserve/v1/"))
    return tuple(_module(path) for path in found)


@cache
def imports(module: Module) -> tuple[tuple[str, int], ...]:
    """Return (dotted name, line) of every absolute import, those inside functions too.

    `from a import b` gives a and a.b: `b` may be a module.
    """
    return tuple(_imports(module))


def _imports(module: Module) -> Iterator[tuple[str, int]]:
    for node in module.nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def docstrings(module: Module) -> Iterator[str]:
    """Yield the text of every docstring, those below constants and fields too."""
    for node in module.nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def relative(path: Path) -> str:
    """Return `path` as written from the root."""
    return path.relative_to(ROOT).as_posix()


def _module(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    name = relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    tree = ast.parse(text)
    return Module(name=name, path=relative(path), text=text, tree=tree, nodes=_nodes_of(tree))


def _nodes_of(tree: ast.Module) -> tuple[ast.AST, ...]:
    """Return what `ast.walk` yields, in half the time, without the nodes that only say whether a name is stored."""
    nodes: list[ast.AST] = [tree]
    for node in nodes:
        for value in vars(node).values():
            if isinstance(value, list):
                nodes += [one for one in value if isinstance(one, ast.AST)]
            elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                nodes.append(value)
    return tuple(nodes)
