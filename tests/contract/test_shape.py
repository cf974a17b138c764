"""The shape of a file and what may not stand in it."""

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from tests.contract.tree import Module, modules

MAX_FUNCTION_LINES = 60
MAY_CATCH_ANYTHING = (
    "sealserve/learning/scheduler.py",
    "sealserve/serving/activator.py",
    "sealserve/rpc/interceptors.py",
)
MAY_READ_ENVIRONMENT = (
    "sealserve/settings/settings.py",
    "sealserve/settings/section.py",  # secrets, which the settings name and do not hold
    "sealserve/fault_injection.py",  # a test switch, not a setting
    "sealserve/engine/vllm_core.py",  # vLLM is configured through it
    "sealserve/engine/vllm_engine.py",  # as above
    "sealserve/learning/training/executors/process.py",  # hands it on to a child process
    "sealserve/learning/training/executors/ray.py",  # as above; and Ray is configured through it
    "sealserve/learning/training/executors/device_leases.py",  # CUDA's own list of devices
    "sealserve/daemon/local.py",  # hands it on to a child process
    "sealserve/daemon/supervisor.py",  # hands it on to a child process
)

FIXED_WAIT = r"(time|asyncio)\.sleep\([\d.]*[1-9]"
"""A wait of a fixed length, other than between two looks at a condition (in a loop)."""

Rule = Callable[[Module], Iterator[str]]


def has_a_docstring(module: Module) -> Iterator[str]:
    """Every module says what it is for."""
    if module.text.strip() and not ast.get_docstring(module.tree):
        yield f"{module.path}: no module docstring"


def fits_a_sitting(module: Module) -> Iterator[str]:
    """Functions stay short."""
    for function in _functions(module.tree):
        count = (function.end_lineno or function.lineno) - function.lineno + 1
        if count > MAX_FUNCTION_LINES:
            yield f"{module.path}:{function.lineno}: {function.name} has {count} lines"


def catches_named_errors(module: Module) -> Iterator[str]:
    """Only the three places that turn failures into states may catch everything."""
    if module.path in MAY_CATCH_ANYTHING:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            kind = "" if node.type is None else ast.unparse(node.type)
            raises_again = ast.unparse(node.body[-1]) == "raise"
            if kind in ("", "Exception", "BaseException") and not raises_again:
                yield f"{module.path}:{node.lineno}: except {kind or '(bare)'}"


def is_finished(module: Module) -> Iterator[str]:
    """Nothing is left for later, and no check is switched off without naming it."""
    words = r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b"
    for number, line in enumerate(module.text.splitlines(), 1):
        if re.search(words, line):
            yield f"{module.path}:{number}: unfinished"
        if re.search(r"#\s*type:\s*ignore(?!\[)|#\s*noqa(?!:)", line):
            yield f"{module.path}:{number}: unnamed ignore"


def runs_no_foreign_code(module: Module) -> Iterator[str]:
    """No pickle, no shell, no unsafe loader."""
    unsafe = (
        r"\b(import pi"
        + r"ckle|from pi"
        + r"ckle|torch\.lo"
        + r"ad\(|allow_pi"
        + r"ckle=True|shell=T"
        + r"rue|yaml\.lo"
        + r"ad\()"
    )
    for number, line in enumerate(module.text.splitlines(), 1):
        if re.search(unsafe, line):
            yield f"{module.path}:{number}: {line.strip()[:80]}"


def leaves_the_environment_to_config(module: Module) -> Iterator[str]:
    """Settings have one reader; tests and child processes get theirs by argument."""
    if module.is_test or module.path in MAY_READ_ENVIRONMENT:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
            yield f"{module.path}:{node.lineno}: reads the environment"


def proves_something(module: Module) -> Iterator[str]:
    """A test asserts, waits for events rather than for time, and runs."""
    if not module.is_test:
        return
    for function in _functions(module.tree):
        if function.name.startswith("test_") and not _asserts(function):
            yield f"{module.path}:{function.lineno}: {function.name} asserts nothing"
    polls = {id(call) for loop in _loops(module.tree) for call in ast.walk(loop)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and id(node) not in polls and re.match(FIXED_WAIT, ast.unparse(node)):
            yield f"{module.path}:{node.lineno}: waits for time"
        if isinstance(node, ast.Attribute) and node.attr in ("skip", "xfail") and "pytest" in ast.unparse(node):
            yield f"{module.path}:{node.lineno}: does not run"


RULES: tuple[Rule, ...] = (
    has_a_docstring, fits_a_sitting, catches_named_errors, is_finished, runs_no_foreign_code,
    leaves_the_environment_to_config, proves_something,
)  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_rule(rule: Rule) -> None:
    findings = [finding for module in modules() for finding in rule(module)]
    assert not findings, "\n".join(findings)


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _loops(tree: ast.Module) -> Iterator[ast.AST]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.While | ast.For | ast.AsyncFor))


def _asserts(function: ast.AST) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call) and re.search(
            r"raises|warns|assert|check|expect|verify|fail", ast.unparse(node.func)
        ):
            return True
    return False
