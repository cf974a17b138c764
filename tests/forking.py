"""Child processes, with an armed fault or not, forked from a server that has imported once what they run."""

import importlib
import multiprocessing
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sealserve import fault_injection

SECONDS = 120
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.registry.crashing", "tests.rollout.crashing", "tests.stories.worker"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a child ended; `code` is the negative number of the signal that killed it."""

    code: int | None
    stdout: str
    stderr: str


def run_child(target: Callable[..., None], *arguments: Any, fault: str, directory: Path) -> Ended:
    """Run `target`, a function of a module, in a process of its own with `fault` armed; wait until it has ended.

    What it prints is written to files in `directory`.
    """
    paths = directory / "child.out", directory / "child.err"
    for path in paths:
        path.unlink(missing_ok=True)
    child = start_child(target, *arguments, environment={"SEALSERVE_FAULT": fault}, paths=paths)
    child.join(SECONDS)
    code = child.exitcode
    child.kill()
    return Ended(code=code, stdout=paths[0].read_text(), stderr=paths[1].read_text())


def start_child(
    target: Callable[..., None], *arguments: Any, environment: Mapping[str, str], paths: tuple[Path, Path]
) -> BaseProcess:
    """Start `target`, a function of a module, in a process of its own.

    It has `environment` besides; what it prints is written to the files `paths`, which may be one.
    """
    child = _FORKS.Process(target=_armed, args=(target, arguments, dict(environment), paths))
    child.start()
    return child


def _armed(
    target: Callable[..., None], arguments: tuple[Any, ...], environment: dict[str, str], paths: tuple[Path, Path]
) -> None:
    for number, path in enumerate(paths, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.update(environment)
    importlib.reload(fault_injection)  # it reads the environment once
    target(*arguments)
