"""README.md stays short and opens with the two commands that a newcomer runs."""

import re

from tests.contract.tree import pages

README = pages()["README.md"]
MAX_WORDS = 1500


def test_it_has_at_most_fifteen_hundred_words() -> None:
    assert len(README.split()) <= MAX_WORDS


def test_it_opens_with_the_two_commands() -> None:
    first = re.findall(r"(?ms)^```console\n(.*?)^```$", README)[0]
    assert [line.split()[0] for line in first.splitlines()] == ["ops/demo", "ops/test"]
