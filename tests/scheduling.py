"""What runs where and when: whole files go to whichever worker is free, and one engine runs at a time."""

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.contract.tree import ROOT

_FILE_MARKS = re.compile(r"^pytestmark = .*$", re.MULTILINE)
_MARK = re.compile(r"pytest\.mark\.(\w+)")


class OneEngineScheduling(LoadFileScheduling):  # type: ignore[misc]
    """Whole files, and those that start vLLM all on one worker: an engine takes as much memory as all the rest."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith("tests/contract/"):  # they share the parsed tree
            return "tests/contract"
        return "vllm" if "vllm" in _marks_in(ROOT / file) else file


def longest_first(items: list[pytest.Item]) -> None:
    """Sort in place: what starts vLLM, then what is slow, then the rest; the last files to end are short.

    What ends the engine that tests share comes after those who need it.
    """
    items.sort(
        key=lambda item: (
            *(item.get_closest_marker(name) is None for name in ("vllm", "slow")),
            item.get_closest_marker("ends_engine") is not None,
        )
    )


def is_deselected_whole(file: Path, expression: str) -> bool:
    """Return whether `-m expression` leaves no test of `file`; it need not be imported: torch alone takes seconds."""
    if file.suffix != ".py" or "not " not in expression:
        return False
    marked = "".join(_FILE_MARKS.findall(file.read_text(encoding="utf-8")))
    return any(f"not {name}" in expression for name in _MARK.findall(marked))


def seconds_of_folders(reports: Iterable[object]) -> list[str]:
    """Return "folder seconds" for each folder of tests, the slowest first; what is no report of a test is left out."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for report in reports:
        if isinstance(report, pytest.TestReport):
            seconds["/".join(report.nodeid.split("/")[:2])] += report.duration
    slowest_first = sorted(seconds.items(), key=lambda item: -item[1])
    return [f"{folder} {duration:.0f}" for folder, duration in slowest_first]


@cache
def _marks_in(file: Path) -> frozenset[str]:
    return frozenset(_MARK.findall(file.read_text(encoding="utf-8")))
