"""How the time of a function grows with its input, and inputs that make careless functions slow."""

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, TypeAlias

LARGEST_RATIO = 2.5
"""Of the times for 2n and n characters: 2 is linear, 4 quadratic."""

_MIN_SECONDS = 0.002  # shorter times are noise
_SMALLEST, _LARGEST = 512, 8192
_ATTEMPTS, _RUNS = 5, 3
_MOST_ATTACKS = 30
_CHARACTERS = " \t\na1A.#*-_\"'<>{}[]()/:;,=\\!?%$\u0301\u00e9\u4e00"

_AROUND = (("", "\0"), ("", "\nx"), ("\u4e00", "\u4e00"))
"""What stands before a repeat, and what after it instead of what must follow."""

Maker: TypeAlias = Callable[[int], Any]
"""Makes an input of about so many characters."""

NASTY_UNITS = (
    " ", "\t", "\n", "\u00a0", "a", "a ", "The ", "A B ", "1 ", "1.", "a\n", "# ", "#", "---\n", "a:\n", "*", "** a **",
    "- a\n", "|a", "```\n", '"', '"a" ', "[", "{", "}", '{"a":', "(", "<a", "<!--", "/*", "://a:", "a@a.", "eyJ.",
    "aws key ", "Q: a?\nA: b\n", " A: b", "Wrong: a\nWhy: b\n", "why ", "ignore all ", "when all quiz ", 'if "a" ',
    "? ", ". ", "-", "'", "+1 ", "4111 ", "GB29 NWBK ", "1:", "\u0301\u0316", "\uff9e\u0316", "\u200d", "\u202a",
    "\u4e00", "ﬁ", "i do not know ", "sorry ",
)  # fmt: skip
_BEGINNINGS = (
    ("# ", " ", "x"), ("# a", "#", "x"), ("---\n", "title: ", ""), ("---\n", "a\n", ""), ("\u0915", "\u200d", "\u0915"),
    ("title:", " ", "x"), ("1", " ", "x"), ("```\n", "\n", "x"), ('["', '\\"', ""), ("Q:", " ", "x"), ("**", "a", ""),
)  # fmt: skip


def nasty_texts() -> Iterator[tuple[str, Maker]]:
    """Yield families of texts by name: a unit over and over, between letters or after a beginning."""
    for head, unit, tail in (*(("a", unit, "b") for unit in NASTY_UNITS), *_BEGINNINGS):
        yield repr(head + unit), partial(_repeated, head, unit, tail)


def _repeated(head: str, unit: str, tail: str, size: int) -> str:
    return head + unit * (size // len(unit)) + tail


def growth(run: Callable[[Any], object], make: Maker) -> float:
    """Return how many times longer `run` takes for an input twice as long; 0.0 if it is too fast to measure.

    Processor time, the best of some runs, over two doublings; what looks worse than LARGEST_RATIO is measured again.
    """
    size, small = _SMALLEST, _seconds(run, make(_SMALLEST))
    while small < _MIN_SECONDS:
        if size >= _LARGEST:
            return 0.0
        size *= 2
        small = _seconds(run, make(size))
    ratio = math.sqrt(_seconds(run, make(4 * size)) / small)
    for _ in range(_ATTEMPTS):
        if ratio <= LARGEST_RATIO:
            break
        small, large = (min(_seconds(run, make(n)) for _ in range(_RUNS)) for n in (size, 4 * size))
        ratio = math.sqrt(large / max(small, 1e-9))
    return ratio


def _seconds(run: Callable[[Any], object], given: Any) -> float:
    start = time.process_time()
    run(given)
    return time.process_time() - start


def attacks(pattern: re.Pattern[Any]) -> list[Maker]:
    """Return inputs that nearly match `pattern`: each of its repeats at length and without what must follow, and each
    beginning of a match over and over.
    """
    if isinstance(pattern.pattern, bytes):
        source, flags = pattern.pattern.decode("latin-1"), pattern.flags
        return [partial(_encoded, make) for make in attacks(re.compile(source, flags))]
    example, repeats = _walk(_parser.parse(pattern.pattern, pattern.flags), "")
    units = {(before + head, unit, end) for head, unit in repeats if unit for before, end in _AROUND}
    units |= {("", example[:cut], "\0") for cut in range(1, min(len(example), 8) + 1)}
    units |= {("", head + unit, "\0") for head, unit in repeats if head + unit}
    few = sorted(units)[:: 1 + len(units) // _MOST_ATTACKS]
    return [partial(_repeated, *parts) for parts in few]


def _encoded(make: Maker, size: int) -> bytes:
    return str(make(size)).encode("latin-1", "replace")


def _walk(tree: Sequence[tuple[Any, Any]], head: str) -> tuple[str, list[tuple[str, str]]]:
    """Return `head` with a text that matches `tree`, and each endless repeat as what stands before it and its unit."""
    repeats: list[tuple[str, str]] = []
    for kind, argument in tree:
        if kind is op.LITERAL:
            head += chr(argument)
        elif kind in (op.NOT_LITERAL, op.ANY, op.IN):
            head += _members(kind, argument)[0]
        elif kind is op.SUBPATTERN:
            head, inner = _walk(argument[-1], head)
            repeats += inner
        elif kind is op.BRANCH:
            walked = [_walk(branch, head) for branch in argument[1]]
            repeats += [repeat for _, inner in walked for repeat in inner]
            head = walked[0][0]
        elif kind in (op.ASSERT, op.ASSERT_NOT):
            repeats += _walk(argument[1], head)[1]
        elif kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            low, high, body = argument
            after, inner = _walk(body, head)
            repeats += inner
            if high is op.MAXREPEAT:
                repeats += [(head, unit) for unit in _units(body, after[len(head) :])]
            head += after[len(head) :] * max(low, 1 if high > 1 else 0)
    return head, repeats


def _units(body: Sequence[tuple[Any, Any]], example: str) -> list[str]:
    """Return short texts that the body of a repeat takes: each character of a set, each branch."""
    if len(body) != 1:
        return [example]
    kind, argument = body[0]
    if kind in (op.NOT_LITERAL, op.ANY, op.IN):
        return _members(kind, argument)[:3]
    if kind is op.SUBPATTERN:
        return _units(argument[-1], example)
    return [_walk(branch, "")[0] for branch in argument[1]] if kind is op.BRANCH else [example]


def _members(kind: Any, argument: Any) -> list[str]:
    """Return characters that a set takes: its own first, then usual ones."""
    if kind is op.ANY:
        return ["a", " ", "1", "."]
    if kind is op.NOT_LITERAL:
        return [c for c in _CHARACTERS if ord(c) != argument]
    own = [chr(value if name is op.LITERAL else value[0]) for name, value in argument if name in (op.LITERAL, op.RANGE)]
    return [c for c in [*own, *_CHARACTERS] if _takes(argument, c)] or ["a"]


def _takes(members: Sequence[tuple[Any, Any]], character: str) -> bool:
    is_negated = members[0][0] is op.NEGATE
    found = any(_is_member(name, value, character) for name, value in members if name is not op.NEGATE)
    return found is not is_negated


def _is_member(name: Any, value: Any, character: str) -> bool:
    if name is op.LITERAL:
        return bool(ord(character) == value)
    if name is op.RANGE:
        return bool(value[0] <= ord(character) <= value[1])
    kinds = {"SPACE": r"\s", "DIGIT": r"\d", "WORD": r"\w"}
    kind = next(shown for part, shown in kinds.items() if str(value).endswith(part))
    return bool(re.match(kind, character)) is not ("NOT" in str(value))
