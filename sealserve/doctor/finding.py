"""What a check found, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_SHOWN = 5


class State(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNS = "warns"  # works, with limits
    FAILS = "fails"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The finding of one check, with advice (empty if the check is ok)."""

    name: str
    state: State
    found: str
    advice: str = ""

    @classmethod
    def of(cls, name: str, is_well: bool, found: str, *, advice: str = "", bad: State = State.FAILS) -> "Finding":
        """Return a finding that is ok, or `bad` and has the advice."""
        return cls(name=name, state=State.OK if is_well else bad, found=found, advice="" if is_well else advice)


def few(names: Iterable[str]) -> str:
    """Return the first names, and how many more there are."""
    listed = list(names)
    return ", ".join(listed[:_SHOWN]) + (f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "")
