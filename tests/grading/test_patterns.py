"""Patterns that a tenant sets: useful ones work, and none can keep the matcher busy."""

import json

import pytest

from sealserve.grading.answers import Matcher, f1, is_exactly, is_right_by
from sealserve.grading.json_schemas import MAX_ANSWER_CHARACTERS, is_accepted, schema_fault
from sealserve.grading.patterns import MAX_MATCHED_CHARACTERS, MAX_PATTERN_CHARACTERS, matches, pattern_fault


@pytest.mark.parametrize(
    ("pattern", "given"),
    [
        (r"\b45 crowns\b", "It costs 45 Crowns."),
        (r"(?:45|forty-five) crowns?", "forty-five crown"),
        (r"^\d+ months$", "36 months"),
        (r"[a-z]+@[a-z]+\.org", "write to help@example.org"),
        (r"a{3}", "aaa"),
        (r"\(45\)", "(45)"),
        (r"(?:\d+, )+\d+", "1, 2, 3"),
        (r"(?P<days>\d+) days?", "14 days"),
        (r"\p{L}+straße", "Hauptstraße 3"),
    ],
)
def test_useful_patterns_are_taken_and_found(pattern: str, given: str) -> None:
    assert pattern_fault(pattern) == ""
    assert matches(given, pattern)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        (r"(?=a)b", "look-around"), (r"(?!a)b", "look-around"), (r"(?<=a)b", "look-around"),
        (r"(?<!a)b", "look-around"),
        (r"(a)\1", "back-references"), (r"(?P<x>a)(?P=x)", "back-references"), ("a{1001}", "{1001}"),
        ("(a{100}){100}", "{100}"), ("(", "missing )"), ("[", "missing ]"), ("", "1 to 200"), ("\ud800", "Unicode"),
        ("x" * (MAX_PATTERN_CHARACTERS + 1), "1 to 200"),
    ],
)  # fmt: skip
def test_pattern_that_re2_does_not_take_is_refused_by_name_and_found_nowhere(pattern: str, name: str) -> None:
    assert name in pattern_fault(pattern)
    assert not matches("a" * 100, pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+b", r"(a|a)*b", r"(a?){30}a{30}b", r"a*a*b", r"a*a*a*b", r"[ab]*[ab]*(?:c|d)e", "(?:a|a)" * 25 + "b",
        r"(?:(?:a*)*)*b", r"(?:.*a){12}b", r"[^b]{0,1000}b",
    ],
)  # fmt: skip
def test_pattern_that_a_backtracking_matcher_never_ends_on_ends(pattern: str) -> None:
    assert pattern_fault(pattern) == ""
    assert not matches("a" * MAX_MATCHED_CHARACTERS, pattern)
    schema = json.dumps({"type": "string", "pattern": pattern})
    assert schema_fault(schema) == ""
    assert not is_accepted(json.dumps("a" * (MAX_ANSWER_CHARACTERS - 2)), schema)


def test_refused_pattern_is_not_written_to_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    assert pattern_fault("(?=secret)")
    assert capfd.readouterr() == ("", "")


def test_only_the_beginning_of_an_answer_is_looked_at() -> None:
    assert matches("b" * (MAX_MATCHED_CHARACTERS - 1) + "a", "a")
    assert not matches("b" * MAX_MATCHED_CHARACTERS + "a", "a")


def test_answer_with_a_line_break_or_a_lone_surrogate_is_matched() -> None:
    assert matches("36 months\n", r"^\d+ months$")
    assert matches("36 months \ud800", r"^\d+ months")


def test_names_of_properties_are_matched_by_re2_too() -> None:
    schema = json.dumps({"patternProperties": {r"^(a+)+$": {"type": "number"}}, "additionalProperties": False})
    assert schema_fault(schema) == ""
    assert is_accepted('{"aa": 1}', schema)
    assert not is_accepted('{"aa": "one"}', schema)
    assert not is_accepted('{"A": 1}', schema)
    assert not is_accepted(json.dumps({"a" * 7000 + "b": 1}), schema)


def test_rules_differ_in_what_they_ask() -> None:
    assert is_exactly("The 24 months.", "24 months")
    assert not is_exactly("It is 24 months", "24 months")
    assert is_right_by(Matcher.CONTAINS, "It is 24 months", gold="24 months")
    assert not is_right_by(Matcher.EXACT, "It is 24 months", gold="24 months")
    assert is_right_by(Matcher.REGEX, "It is 24 months", gold="2 years", pattern=r"\b24\b")


def test_f1_is_the_share_of_words_in_common() -> None:
    assert f1("24 months", "24 months") == 1.0
    assert f1("it is 24 months", "24 months") == pytest.approx(2 / 3)
    assert f1("red", "24 months") == f1("", "24 months") == f1("x", "") == 0.0


@pytest.mark.parametrize("depth", [3, 14])
def test_schema_that_takes_exponential_time_is_refused_by_name(depth: int) -> None:
    schema: dict[str, object] = {"properties": {"a": True}}
    for _ in range(depth):
        schema = {"unevaluatedProperties": False, "allOf": [schema]}
    assert "unevaluatedProperties" in schema_fault(json.dumps(schema))
    assert not is_accepted('{"a": 1}', json.dumps(schema))


def test_answer_that_is_too_much_work_for_its_schema_is_not_accepted() -> None:
    schema = json.dumps({"items": {"anyOf": [{"const": number} for number in range(200)]}})
    assert schema_fault(schema) == ""
    assert is_accepted(json.dumps([199] * 100), schema)
    assert not is_accepted(json.dumps([199] * 1500), schema)


@pytest.mark.parametrize("given", ["```json\n[1]\n```", "```\n[1]```\n", " [1] ", "```json \n[1]\n ```"])
def test_answer_may_be_fenced(given: str) -> None:
    assert is_accepted(given, '{"type": "array"}')
