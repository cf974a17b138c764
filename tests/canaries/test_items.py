"""What a canary item must have, and when an answer to it is right."""

import json
from pathlib import Path

import pytest

from sealserve.canaries.items import item_fault, read_items
from sealserve.errors import InvalidArgument
from sealserve.gate.regression import fallen
from sealserve.gate.statistics import measured
from sealserve.gate.thresholds import LossRule, SafetyRule
from sealserve.grading.answers import Matcher, is_right_by
from sealserve.grading.json_schemas import is_accepted, schema_fault
from sealserve.grading.numbers import is_number
from sealserve.records.canary_suites import CanaryItem

SCHEMA = json.dumps({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}})


@pytest.mark.parametrize(
    ("given", "gold", "tolerance", "is_right"),
    [
        ("The total is 1,234.50 crowns.", "1234.5", 0.0, True),
        ("First 12, then 7, so 19.", "19", 0.0, True),
        ("First 12, then 7, so 19.", "12", 0.0, False),
        ("About 3.15", "3.14", 0.02, True),
        ("About 3.17", "3.14", 0.02, False),
        ("-5", "5", 0.0, False),
        ("\u22125 degrees", "-5", 0.0, True),
        ("item-5", "5", 0.0, True),
        ("2e3", "2000", 0.0, True),
        ("none", "0", 1.0, False),
        ("", "0", 1.0, False),
        ("9" * 400, "1", 1e300, False),
    ],
)
def test_the_last_number_counts_within_the_tolerance(given: str, gold: str, tolerance: float, is_right: bool) -> None:
    assert is_number(given, gold, tolerance=tolerance) is is_right
    assert is_right_by(Matcher.NUMERIC, given, gold=gold, tolerance=tolerance) is is_right


@pytest.mark.parametrize(
    ("given", "is_right"),
    [
        ('{"n": 3}', True),
        ('```json\n{"n": 3}\n```', True),
        ('Here it is: {"n": 3}', False),
        ('{"n": "3"}', False),
        ("{}", False),
        ("", False),
        ("[" * 5000, False),
    ],
)
def test_json_is_right_when_the_schema_accepts_the_whole_answer(given: str, is_right: bool) -> None:
    assert is_accepted(given, SCHEMA) is is_right
    assert is_right_by(Matcher.JSON_SCHEMA, given, gold="", schema=SCHEMA) is is_right


@pytest.mark.parametrize(
    "schema",
    [
        "",
        "{",
        "[]",
        '{"type": "thing"}',
        '{"$ref": "http://192.0.2.1/x"}',
        '{"properties": {"a": {"$ref": "#"}}}',
        '{"pattern": "(?=a)b"}',
        '{"patternProperties": {"(a)\\\\1": {}}}',
        '{"patternProperties": {"a": {}}, "allOf": [{"unevaluatedProperties": false}]}',
        json.dumps({"description": "x" * 4000}),
        '{"not":' * 40 + "{}" + "}" * 40,
    ],
)
def test_a_schema_that_could_ask_elsewhere_or_never_end_is_refused_and_accepts_nothing(schema: str) -> None:
    assert schema_fault(schema)
    assert not is_accepted("{}", schema)


def test_matchers_that_need_a_model_do_not_look_at_text() -> None:
    for matcher in (Matcher.CHOICE, Matcher.JUDGE):
        with pytest.raises(ValueError, match="does not look"):
            is_right_by(matcher, "a", gold="a")


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        ({"answer": "a"}, ""),
        ({"matcher": "exact", "answer": "a"}, ""),
        ({"matcher": "judge", "answer": "a"}, ""),
        ({"matcher": "regex", "pattern": r"\d+"}, ""),
        ({"matcher": "numeric", "answer": "3", "tolerance": 0.5}, ""),
        ({"matcher": "choice", "answer": "a", "choices": ("a", "b")}, ""),
        ({"matcher": "json_schema", "schema": SCHEMA}, ""),
        ({}, "missing"),
        ({"matcher": "best", "answer": "a"}, "matcher is one of"),
        ({"matcher": "regex", "pattern": "(?=a)b"}, "look-around"),
        ({"matcher": "regex", "answer": "a"}, "pattern"),
        ({"matcher": "numeric", "answer": "three"}, "is a number"),
        ({"matcher": "numeric", "answer": "nan"}, "is a number"),
        ({"matcher": "numeric", "answer": "3", "tolerance": -1.0}, "tolerance"),
        ({"matcher": "numeric", "answer": "3", "tolerance": float("nan")}, "tolerance"),
        ({"matcher": "choice", "answer": "c", "choices": ("a", "b")}, "one of the choices"),
        ({"matcher": "choice", "answer": "a", "choices": ("a",)}, "2 to 16"),
        ({"matcher": "choice", "answer": "a", "choices": ("a", "a")}, "differ"),
        ({"matcher": "json_schema", "schema": "{"}, "schema is not JSON"),
        ({"matcher": "exact", "answer": "a", "pattern": "a"}, "takes no pattern"),
        ({"answer": "a", "max_tokens": 513}, "max_tokens"),
    ],
)
def test_an_item_has_what_its_matcher_needs_and_nothing_else(item: dict[str, object], fault: str) -> None:
    found = item_fault(CanaryItem(item="i", prompt="p", **item))  # type: ignore[arg-type]
    assert fault in found
    assert bool(found) is bool(fault)


def test_a_file_of_items_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "suite.jsonl"
    lines = [
        {"id": "a", "prompt": "How many?", "matcher": "numeric", "answer": 45, "tolerance": 1},
        {"id": "b", "prompt": "As JSON?", "matcher": "json_schema", "schema": json.loads(SCHEMA), "kind": "format"},
        {"id": "c", "prompt": "Which?", "matcher": "choice", "choices": ["x", "y"], "answer": "x"},
    ]
    path.write_text("\n\n".join(json.dumps(line) for line in lines))
    first, second, third = read_items(path)
    assert (first.answer, first.tolerance) == ("45", 1.0)
    assert (json.loads(second.schema), second.kind) == (json.loads(SCHEMA), "format")
    assert third.choices == ("x", "y")


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        '{"id": "a"}',
        '{"id": "a", "prompt": "p", "answer": "x", "colour": "red"}',
        '{"id": 5, "prompt": "p", "answer": "x"}',
        '{"id": "a", "prompt": "p", "matcher": "choice", "choices": "ab", "answer": "a"}',
        '{"id": "a", "prompt": "p", "answer": true}',
        '{"id": "a", "prompt": "p", "answer": "x", "max_tokens": 2.5}',
        '{"id": "a", "prompt": "p", "matcher": "regex", "pattern": "("}',
    ],
)
def test_a_line_that_is_no_item_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "suite.jsonl"
    path.write_text('{"id": "z", "prompt": "q", "answer": "x"}\n' + line)
    with pytest.raises(InvalidArgument, match=r"suite\.jsonl:2"):
        read_items(path)


def test_a_loss_beyond_the_margin_is_told_and_chance_is_not() -> None:
    rule = LossRule(min_items=30, margin=0.1, alpha=0.05)
    big = measured(both=60, better=0, worse=40, neither=0, confidence=0.95)
    none = measured(both=98, better=1, worse=1, neither=0, confidence=0.95)
    assert fallen({"big": (big, rule), "none": (none, rule)}) == ("big",)
    assert fallen({}) == ()


def test_of_a_safety_suite_one_answer_lost_is_told_whatever_was_gained() -> None:
    rule = SafetyRule(min_items=1, margin=0.0, alpha=0.05, min_incumbent_share=0.5, suites=("safety",), required=())
    lost = measured(both=17, better=2, worse=1, neither=0, confidence=0.95)
    kept = measured(both=18, better=2, worse=0, neither=0, confidence=0.95)
    assert fallen({"lost": (lost, rule), "kept": (kept, rule)}) == ("lost",)
