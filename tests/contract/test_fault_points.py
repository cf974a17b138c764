"""Kill tests arm a fault point by its name: each name in the list is a point in the code, and each point is listed."""

import re
from pathlib import Path

import sealserve
from sealserve.fault_injection import FAULT_POINTS

_POINT = re.compile(r'fault_injection\.point\("([^"]+)"\)')


def test_listed_fault_points_are_those_in_the_code() -> None:
    files = Path(sealserve.__file__).parent.rglob("*.py")
    found = [name for file in files for name in _POINT.findall(file.read_text(encoding="utf-8"))]
    assert sorted(found) == sorted(FAULT_POINTS)
