"""Cron lines mean what crontab(5) says."""

import pytest

from sealserve.settings.cron import DAYS, parse_cron
from sealserve.settings.settings import load_settings


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("0", "sun"), ("7", "sun"), ("sun", "sun"), ("1-5", "mon tue wed thu fri"), ("6", "sat"),
        ("MON,Wed", "mon wed"), ("0-6", "sun mon tue wed thu fri sat"), ("1-7", "sun mon tue wed thu fri sat"),
        ("fri-sun", "sun fri sat"), ("*/2", "sun tue thu sat"), ("5-7/2", "sun fri"),
        ("*", "sun mon tue wed thu fri sat"),
    ],
)  # fmt: skip
def test_zero_and_seven_are_sunday(field: str, days: str) -> None:
    assert [DAYS[n] for n in parse_cron(f"0 4 * * {field}").weekdays] == days.split()


@pytest.mark.parametrize(
    ("nickname", "line"),
    [
        ("@hourly", "0 * * * *"), ("@daily", "0 0 * * *"), ("@midnight", "0 0 * * *"), ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"), ("@yearly", "0 0 1 1 *"), ("@Annually", "0 0 1 jan *"),
    ],
)  # fmt: skip
def test_nicknames_are_known(nickname: str, line: str) -> None:
    assert parse_cron(nickname) == parse_cron(line)


@pytest.mark.parametrize(
    ("line", "is_either"),
    [("0 4 1 * 1", True), ("0 4 1 * *", False), ("0 4 * * 1", False), ("0 4 */2 * 1", False), ("0 4 1 * */2", False)],
)
def test_either_day_is_enough_when_both_are_given(line: str, is_either: bool) -> None:
    assert parse_cron(line).is_either_day is is_either


@pytest.mark.parametrize(
    "line",
    [
        "", "whenever", "0 3 * *", "0 3 * * * *", "60 3 * * *", "0 24 * * *", "0 3 0 * *", "0 3 * 13 *", "0 3 * * 8",
        "0 3 * * 5-1", "*/0 3 * * *", "5/15 * * * *", "0 3 * * mon#1", "0 3 l * *", "0 3 31 2 *", "@reboot",
        "-1 3 * * *", "1,,2 3 * * *", "0 3 * * ²",
    ],
)  # fmt: skip
def test_what_is_no_cron_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"cron line|never comes|is not|is empty|a step needs"):
        parse_cron(line)


def test_no_rounds_are_allowed_and_the_default_night_is_a_cron_line() -> None:
    learn = load_settings(overrides={"learn.editor.rounds": ""}).learn
    assert (learn.editor.rounds, parse_cron(learn.nightly).hours) == ("", (3,))
