"""Cron lines as crontab(5) of Vixie cron reads them, whatever a scheduling library makes of the same numbers.

https://manpages.debian.org/bookworm/cron/crontab.5.en.html
"""

import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
"""Days of the week by their number in a cron line."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_ITEM = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?", re.ASCII)
_LEAP_YEAR = 2024


@dataclass(frozen=True, slots=True, kw_only=True)
class CronLine:
    """The moments of a cron line, as the numbers that match in each field; 0 is Sunday."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]  # of the month
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    is_either_day: bool  # both day fields are restricted: a day matches if one of them does


def parse_cron(line: str) -> CronLine:
    """Return what `line` means: five fields, or a nickname such as @daily. Raises: ValueError (and what is wrong)."""
    text = line.strip().lower()
    if text.startswith("@") and text not in _NICKNAMES:
        raise ValueError(f"{line!r} is not a cron line: of nicknames, {', '.join(_NICKNAMES)} are known")
    fields = _NICKNAMES.get(text, text).split()
    if len(fields) != 5:
        raise ValueError(f"{line!r} is not a cron line: it needs five fields (minute hour day month weekday) or @daily")
    minute, hour, day, month, weekday = fields
    parsed = CronLine(
        minutes=_numbers(minute, "minute", 0, 59),
        hours=_numbers(hour, "hour", 0, 23),
        days=_numbers(day, "day of the month", 1, 31),
        months=_numbers(month, "month", 1, 12, names={name: n for n, name in enumerate(_MONTHS, start=1)}),
        weekdays=_weekdays(weekday),
        is_either_day="*" not in day and "*" not in weekday,
    )
    if not parsed.is_either_day and not any(monthrange(_LEAP_YEAR, m)[1] >= parsed.days[0] for m in parsed.months):
        raise ValueError(f"{line!r} never comes: no month of it has a day {parsed.days[0]}")
    return parsed


def _weekdays(field: str) -> tuple[int, ...]:
    """Return the days of the week; 7 is Sunday, too, and so is the last name of a range that ends with it."""
    names = {name: n for n, name in enumerate(DAYS)}
    numbers = _numbers(re.sub(r"(?<=-)sun\b", "7", field), "day of the week", 0, 7, names=names)
    return tuple(sorted({n % 7 for n in numbers}))


def _numbers(
    field: str, label: str, lowest: int, highest: int, *, names: Mapping[str, int] | None = None
) -> tuple[int, ...]:
    found: set[int] = set()
    for item in field.split(","):
        shape = _ITEM.fullmatch(item)
        if shape is None:
            raise ValueError(f"{item!r} is no {label} of a cron line")
        first, last, step = shape["first"], shape["last"], int(shape["step"] or 1)
        if first is not None and last is None and shape["step"]:
            raise ValueError(f"{label} {item!r}: a step needs a range, such as {first}-{highest}/{step}")
        start = lowest if first is None else _number(first, label, lowest, highest, names=names or {})
        end = start if first is not None else highest
        end = end if last is None else _number(last, label, lowest, highest, names=names or {})
        if end < start or step < 1:
            raise ValueError(f"{label} {item!r} is empty: write the smaller number first, and a step of at least 1")
        found |= set(range(start, end + 1, step))
    return tuple(sorted(found))


def _number(word: str, label: str, lowest: int, highest: int, *, names: Mapping[str, int]) -> int:
    number = int(word) if word.isdigit() else names.get(word, -1)
    if not lowest <= number <= highest:
        raise ValueError(f"{label} {word!r} is not {lowest} to {highest}" + (" or a name" if names else ""))
    return number
