"""What may not stand in any file: paths of one machine, registry hosts, talk about how the work was organised."""

import re

import pytest

from tests.contract.tree import text_files

FORBIDDEN = {
    "a path of one machine": r"(?<![\w/.])/(wo"
    + r"rk|fa"
    + r"rm|opt/wh"
    + r"eels|opt/py"
    + r"pi|ro"
    + r"ot|ho"
    + r"me)/",
    "a registry host": r"\bpyp" + r"i\.org|python" + r"hosted|registry\.npm" + r"js|deb\.deb" + r"ian",
    "talk about the work": r"(?i)\b(issue|ticket) #?\d+\b|\bfounding engin" + r"eer|\bhelper session\b",
}


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_no_file_holds(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = [
        f"{path}:{number}"
        for path, text in text_files()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


def test_every_text_file_ends_with_a_newline_and_has_no_carriage_return() -> None:
    stored = ("sealserve/nano/weights/", "tests/registry/upgrade/artifacts/")
    written = [(path, text) for path, text in text_files() if text and not path.startswith(stored)]
    found = [path for path, text in written if not text.endswith("\n") or "\r\n" in text]
    assert not found, "\n".join(found)
