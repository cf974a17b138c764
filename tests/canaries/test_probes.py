"""Probes of old skills: enough of them, and what is rehearsed never measures."""

import hashlib
import json
from pathlib import Path

import pytest

from sealserve.canaries.items import item_fault
from sealserve.canaries.probes import SUITES, SUITES_VERSION, Probes, probes_for, read_probes
from sealserve.errors import BadConfig
from sealserve.gate.thresholds import load_policy
from sealserve.nano.world import Fact, attribute_of, residents
from sealserve.registry.evaluation.canary_suites import SHIPPED


@pytest.mark.parametrize("model", ["nano", "some/other-model"])
def test_probes_satisfy_the_default_policy_and_are_disjoint(model: str) -> None:
    probes, policy = probes_for(model), load_policy()
    assert len(probes.canary) >= policy.canary.min_items
    assert len(probes.unknown) >= policy.unknown.min_items
    measured = {probe.question for probe in probes.canary} | set(probes.unknown)
    assert not measured & {*probes.rehearsed, *probes.rehearsed_unknown}
    assert all(probe.answer for probe in probes.canary)
    assert probes == probes_for(model)


def test_general_prompts_that_are_rehearsed_are_no_siblings_of_measured_ones() -> None:
    """What is kept must be kept because the model is kept, not because its very form of question was rehearsed."""
    probes = probes_for("some/other-model")
    suites = (item.prompt for several in probes.suites.values() for item in several)
    measured = [*(probe.question for probe in probes.canary), *probes.unknown, *suites]
    forms = {_form(question) for question in measured}
    rehearsed = [*probes.rehearsed, *probes.rehearsed_unknown]
    assert not [question for question in rehearsed if _form(question) in forms]
    assert len({_form(question) for question in rehearsed}) > len(rehearsed) / 2


def _form(question: str) -> tuple[str, ...]:
    return tuple(question.lower().split()[:4])


def test_nano_probes_measure_facts_that_are_not_rehearsed() -> None:
    probes: Probes = probes_for("nano")
    about = {fact: r.entity.name for r in residents() for fact in r.facts}

    def facts(question: str, answer: str) -> set[Fact]:
        return {f for f, name in about.items() if name in question and answer in ("", f.value) and _asks(question, f)}

    measured = {fact for probe in probes.canary for fact in facts(probe.question, probe.answer)}
    rehearsed = {fact for question in probes.rehearsed for fact in facts(question, "")}
    assert len(measured) >= len(probes.canary)
    assert not measured & rehearsed
    assert {about[fact] for fact in rehearsed} == set(about.values())


def test_a_broken_probe_file_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "probes.jsonl"
    path.write_text('{"use": "unknown", "question": "?"}\n{"use": "typo", "question": "?"}\n')
    with pytest.raises(BadConfig, match=r"probes\.jsonl:2"):
        read_probes(path)
    with pytest.raises(BadConfig, match="absent"):
        read_probes(tmp_path / "absent")


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "no canary questions"),
        ([{"use": "canary", "question": "a?", "answer": "b"}], "no unknown questions"),
        ([{"use": "canary", "question": "a?", "answer": "b"}, {"use": "rehearsed", "question": "a?"}], "2 times"),
        ([{"use": "unknown", "question": "a?"}] * 2, "2 times"),
    ],
)
def test_a_suite_without_items_or_with_one_twice_is_refused(
    tmp_path: Path, lines: list[dict[str, str]], complaint: str
) -> None:
    path = tmp_path / "probes.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(BadConfig, match=complaint):
        read_probes(path)


def _asks(question: str, fact: Fact) -> bool:
    attribute = attribute_of(fact)
    wordings = attribute.trained_questions + attribute.held_out_questions
    return question in {wording.replace("{e}", fact.entity) for wording in wordings}


@pytest.mark.parametrize(
    ("model", "names", "digest"),
    [
        ("nano", {"formats", "injections"}, "682e0c720c34369c"),
        ("some/other-model", {"formats", "long-answers", "refusals", "injections", "dangers"}, "3e674f0bd1a4d1ee"),
    ],
)
def test_shipped_suites_are_sound_large_enough_and_frozen(model: str, names: set[str], digest: str) -> None:
    suites, policy = probes_for(model).suites, load_policy()
    assert set(suites) == names
    assert {"dangers", "safety"} <= set(policy.safety.suites)
    for name, items in suites.items():
        assert len(items) >= policy.rule_of(name).min_items
        assert [item_fault(item) for item in items if item_fault(item)] == []
        assert len({item.item for item in items}) == len({item.prompt for item in items}) == len(items)
    rows = [[name, *map(repr, items)] for name, items in sorted(suites.items())]
    found = hashlib.sha256(json.dumps([SUITES_VERSION, rows]).encode()).hexdigest()[:16]
    assert found == digest, "raise SUITES_VERSION with every change of a shipped suite, then write its digest here"


def test_no_tenant_may_call_a_suite_as_a_shipped_one_is_called() -> None:
    assert {*SUITES, "canary", "unknown"} <= set(SHIPPED)


def test_fewer_questions_of_each_suite_may_be_asked_and_as_many_are_rehearsed() -> None:
    probes = probes_for("smollm2")
    few = probes.at_most(5)
    assert {len(items) for items in (few.canary, few.unknown, *few.suites.values())} == {5}
    assert (few.rehearsed, few.rehearsed_unknown) == (probes.rehearsed, probes.rehearsed_unknown)
    assert probes.at_most(0) is probes
