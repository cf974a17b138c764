"""The shape of a file and of a folder, and what may not stand in them."""

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import pytest

from tests.contract.tree import Module, docstrings, imports, modules

MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 7
MAX_FOLDER_MODULES = 15
MIN_MODULE_LINES = 40
MAY_CATCH_ANYTHING = (
    "sealserve/learning/scheduler.py",
    "sealserve/serving/activator.py",
    "sealserve/rpc/interceptors.py",
    "sealserve/gateway/entrance.py",
    "sealserve/gateway/stream.py",
)
MAY_READ_ENVIRONMENT = (
    "sealserve/settings/settings.py",
    "sealserve/settings/section.py",  # secrets, which the settings name and do not hold
    "sealserve/fault_injection.py",  # a test switch, not a setting
    "sealserve/engine/vllm_core.py",  # vLLM is configured through it
    "sealserve/engine/vllm_engine.py",  # as above
    "sealserve/engine/vllm_processes.py",  # as above
    "sealserve/learning/training/executors/process.py",  # hands it on to a child process
    "sealserve/learning/training/executors/ray.py",  # as above; and Ray is configured through it
    "sealserve/learning/training/executors/device_leases.py",  # CUDA's own list of devices
    "sealserve/daemon/local.py",  # hands it on to a child process
    "sealserve/daemon/supervisor.py",  # hands it on to a child process
)

PARALLEL = {
    "sealserve/records": "a file for each noun",
    "sealserve/wire": "a file for each noun",
    "sealserve/rpc/services": "a file for each service",
    "sealserve/cli": "a file for each command",
    "sealserve/client": "a file for each service",
    "sealserve/registry": "a file or a folder for each noun",
    "sealserve/settings": "a file for each section",
    "sealserve/daemon": "a file for each process",
    "sealserve/bench": "a file for each figure",
}
"""Folders, with those inside, whose files are named for what stands elsewhere under the same name."""

MAY_BE_LARGE = {
    "sealserve/records": "a file for each noun",
    "sealserve/wire": "a file for each noun",
    "sealserve/rpc/services": "a file for each service",
    "sealserve/cli": "a file for each command",
    "sealserve/registry/migrations/versions": "a file for each change of the schema",
}
"""Folders whose size follows from a list that is kept elsewhere."""

MAY_SHARE_A_NAME = {
    "answers": "grading compares answers, serving gives them",
    "base": "the protocol of a folder of implementations",
    "base_model": "the engine reads its shape, the training process its weights, doctor its fitness",
    "evaluate": "nano evaluates a model, policy a rule",
    "filter": "the cycle's step, and the rules that it applies",
    "probes": "canaries load them, nano generates them",
    "server": "gRPC and HTTP",
    "train": "the cycle's step, and the training of the embedded model",
    "trainer": "the parent process, and the training process that it starts",
}
"""Names that two files outside the parallel folders have."""

MAY_TAKE_MORE = {
    "sealserve/bench/learning/real.py:run": "the options of a command",
    "sealserve/bench/safety/poison.py:run": "the options of a command",
    "sealserve/learning/editor/trials.py:sample_trials": "what a round of the editor varies",
    "sealserve/learning/multi_lora/attention.py:attend": "transformers calls it",
    "sealserve/learning/training/replay.py:build_cycle_pool": "what a cycle trains on, from four steps",
    "sealserve/proof/manifest.py:seal": "what a manifest states, each part once",
    "sealserve/registry/sql/paging.py:page": "what tells one listing from another",
}
"""Functions of more than MAX_PARAMETERS, besides the commands, each option of which is a parameter."""

MAY_BE_SMALL = {
    "sealserve/engine/vllm_orphans.py": "a plugin of vLLM's, which every one of its processes imports",
    "sealserve/learning/steps/adopt_external.py": "four steps beside a folder of steps",
    "sealserve/learning/steps/judge.py": "a step of the cycle has a file of its own",
    "sealserve/registry/evaluation/answer_log.py": "a table and its queries",
}
"""Modules below MIN_MODULE_LINES that one module of the same part imports."""

OTHER_PROJECTS = {"src/inner/TTT_server.py"}
"""Files of others that docstrings name: SEAL's."""

FIXED_WAIT = r"(time|asyncio)\.sleep\([\d.]*[1-9]"
"""A wait of a fixed length, other than between two looks at a condition (in a loop)."""

Rule = Callable[[Module], Iterator[str]]


def has_a_docstring(module: Module) -> Iterator[str]:
    """Every module says what it is for."""
    if module.text.strip() and not ast.get_docstring(module.tree):
        yield f"{module.path}: no module docstring"


def fits_a_sitting(module: Module) -> Iterator[str]:
    """Functions stay short."""
    for function in _functions(module):
        count = (function.end_lineno or function.lineno) - function.lineno + 1
        if count > MAX_FUNCTION_LINES:
            yield f"{module.path}:{function.lineno}: {function.name} has {count} lines"


def catches_named_errors(module: Module) -> Iterator[str]:
    """Only the three places that turn failures into states may catch everything."""
    if module.path in MAY_CATCH_ANYTHING:
        return
    for node in module.nodes:
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
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
            yield f"{module.path}:{node.lineno}: reads the environment"


def proves_something(module: Module) -> Iterator[str]:
    """A test asserts, waits for events rather than for time, and runs."""
    if not module.is_test:
        return
    for function in _functions(module):
        if function.name.startswith("test_") and not _asserts(function):
            yield f"{module.path}:{function.lineno}: {function.name} asserts nothing"
    polls = {id(call) for loop in _loops(module) for call in ast.walk(loop)}
    for node in module.nodes:
        if isinstance(node, ast.Call) and id(node) not in polls and re.match(FIXED_WAIT, ast.unparse(node)):
            yield f"{module.path}:{node.lineno}: waits for time"
        if isinstance(node, ast.Attribute) and node.attr in ("skip", "xfail") and "pytest" in ast.unparse(node):
            yield f"{module.path}:{node.lineno}: does not run"


def names_files_that_exist(module: Module) -> Iterator[str]:
    """A file that a docstring names stands somewhere in the tree."""
    for text in docstrings(module):
        for name in re.findall(r"[\w/]+\.py\b", text):
            if name not in OTHER_PROJECTS and not any(f"/{one.path}".endswith(f"/{name}") for one in modules()):
                yield f"{module.path}: names {name}, which does not exist"


RULES: tuple[Rule, ...] = (
    has_a_docstring, fits_a_sitting, catches_named_errors, is_finished, runs_no_foreign_code,
    leaves_the_environment_to_config, proves_something, names_files_that_exist,
)  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_rule(rule: Rule) -> None:
    findings = [finding for module in modules() for finding in rule(module)]
    assert not findings, "\n".join(findings)


def test_folder_is_no_larger_than_a_reader_can_hold() -> None:
    sizes: dict[str, int] = defaultdict(int)
    for module in _product():
        sizes[_folder(module)] += 1
    large = {folder for folder, size in sizes.items() if size > MAX_FOLDER_MODULES}
    assert sorted(large - set(MAY_BE_LARGE)) == []
    assert sorted(set(MAY_BE_LARGE) - set(sizes)) == []


def test_function_that_takes_much_takes_a_record() -> None:
    wide = {
        f"{module.path}:{function.name}"
        for module in _product()
        if _part(module.path) != "cli"
        for function in _functions(module)
        if _parameters(function) > MAX_PARAMETERS
    }
    assert sorted(wide - set(MAY_TAKE_MORE)) == []
    assert sorted(set(MAY_TAKE_MORE) - wide) == [], "these need no exception any more"


def test_small_module_has_more_than_one_importer() -> None:
    small = set()
    for name, importers in _importers().items():
        module = name.replace(".", "/") + ".py"
        if len(importers) == 1 and _part(importers.pop()) == _part(module):
            small.add(module)
    short = {module.path for module in _product() if module.text.count("\n") < MIN_MODULE_LINES}
    crumbs = {path for path in small & short if str(PurePosixPath(path).parent) not in MAY_BE_LARGE}
    assert sorted(crumbs - set(MAY_BE_SMALL)) == [], "each belongs in the module that imports it"
    assert sorted(set(MAY_BE_SMALL) - crumbs) == [], "these need no exception any more"


def test_no_name_is_given_to_two_files() -> None:
    places = defaultdict(list)
    for module in _product():
        if not any(PurePosixPath(module.path).is_relative_to(folder) for folder in PARALLEL):
            places[PurePosixPath(module.path).stem].append(module.path)
    shared = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert {name: paths for name, paths in shared.items() if name not in MAY_SHARE_A_NAME} == {}
    assert sorted(set(MAY_SHARE_A_NAME) - set(shared)) == [], "these need no exception any more"


def _product() -> Iterator[Module]:
    """The package's modules that hold code: no tests, no `__init__` and no `__main__`."""
    return (m for m in modules() if not m.is_test and not PurePosixPath(m.path).name.startswith("__"))


def _folder(module: Module) -> str:
    return str(PurePosixPath(module.path).parent)


def _part(path: str) -> str:
    """Return the folder right below the package: what lies across its border cannot be merged."""
    return path.split("/")[1]


def _importers() -> dict[str, set[str]]:
    """Return {module: paths of the modules of the package that import it}."""
    product = {module.name: module for module in _product()}
    found: dict[str, set[str]] = defaultdict(set)
    for module in product.values():
        for name, _ in imports(module):
            if name in product:
                found[name].add(module.path)
    return found


def _functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in module.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many parameters a call can give, without the instance or class that it is called on."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg) if one]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def _loops(module: Module) -> Iterator[ast.AST]:
    return (node for node in module.nodes if isinstance(node, ast.While | ast.For | ast.AsyncFor))


def _asserts(function: ast.AST) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call) and re.search(
            r"raises|warns|assert|check|expect|verify|fail", ast.unparse(node.func)
        ):
            return True
    return False
