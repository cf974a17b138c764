"""Probes of old skills: enough of them, and what is rehearsed never measures."""

from pathlib import Path

import pytest

from sealserve.errors import BadConfig
from sealserve.gate.canary import Probes, probes_for, read_probes
from sealserve.gate.policy import load_policy


@pytest.mark.parametrize("model", ["nano", "some/other-model"])
def test_probes_satisfy_the_default_policy_and_are_disjoint(model: str) -> None:
    probes, policy = probes_for(model), load_policy()
    assert len(probes.canary) >= policy.canary.min_items
    assert len(probes.unknown) >= policy.unknown.min_items
    measured = {probe.question for probe in probes.canary} | set(probes.unknown)
    assert not measured & {*probes.rehearsed, *probes.rehearsed_unknown}
    assert all(probe.answer for probe in probes.canary)
    assert probes == probes_for(model)


def test_nano_probes_measure_residents_that_are_not_rehearsed() -> None:
    probes: Probes = probes_for("nano")
    rehearsed = {_name(question) for question in probes.rehearsed}
    assert not rehearsed & {_name(probe.question) for probe in probes.canary}


def test_a_broken_probe_file_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "probes.jsonl"
    path.write_text('{"use": "unknown", "question": "?"}\n{"use": "typo", "question": "?"}\n')
    with pytest.raises(BadConfig, match=r"probes\.jsonl:2"):
        read_probes(path)
    with pytest.raises(BadConfig, match="absent"):
        read_probes(tmp_path / "absent")


def _name(question: str) -> str:
    words = question.replace("?", " ").replace(".", " ").replace(":", " ").replace(",", " ").split()
    capitalised = [word for word in words[1:] if word[0].isupper()]
    return " ".join(capitalised)
