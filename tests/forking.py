"""Child processes with an armed fault, forked from a server that has imported once what they run."""

import importlib
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealserve import fault_injection

SECONDS = 120
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.registry.crashing", "tests.rollout.crashing"])


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
    child = _FORKS.Process(target=_armed, args=(target, arguments, fault, paths))
    child.start()
    child.join(SECONDS)
    code = child.exitcode
    child.kill()
    return Ended(code=code, stdout=paths[0].read_text(), stderr=paths[1].read_text())


def _armed(target: Callable[..., None], arguments: tuple[Any, ...], fault: str, paths: tuple[Path, Path]) -> None:
    for number, path in enumerate(paths, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ["SEALSERVE_FAULT"] = fault
    importlib.reload(fault_injection)  # it reads the environment once
    target(*arguments)
