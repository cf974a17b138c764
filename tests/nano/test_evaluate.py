"""Figures and their intervals; an adapter that is taken off again leaves nothing behind."""

import pytest
import torch

from sealserve.nano import injection
from sealserve.nano.evaluate import Fraction, NanoReport
from sealserve.nano.generation import Speaker
from sealserve.nano.injection import Recipe
from sealserve.nano.model import weights_dir
from sealserve.nano.world import World
from sealserve.prompts import Template

pytestmark = pytest.mark.slow  # trains


def test_interval_is_wilsons() -> None:
    low, high = Fraction(18, 20).interval()  # Newcombe 1998 gives this interval's formula; values by hand
    assert (low, high) == pytest.approx((0.6990, 0.9721), abs=1e-4)
    assert Fraction(0, 0).interval() == (0.0, 1.0)


def test_report_shows_every_fraction_with_trials_and_interval() -> None:
    half = Fraction(1, 2)
    report = NanoReport(**dict.fromkeys(NanoReport.__dataclass_fields__, half))
    shown = report.as_json()
    assert shown["reading"] == 0.5
    assert shown["resident_loss"] == 0.0
    assert set(shown) == set(NanoReport.__dataclass_fields__) | {"resident_loss", "trials", "intervals"}


def test_examples_are_questions_and_single_statements() -> None:
    article = World(1).article(World(1).rng(0))
    edits = [(Template.QA, "Question: What?\nAnswer: That.\nQuestion: cut"), (Template.LONG, "- One.\n- Two.")]
    told = injection.examples(article, edits)
    assert told[0][1] == article.text
    assert ("What?", "That.") in told
    assert [reply for _, reply in told].count("- One.") == 1


def test_removed_adapter_leaves_the_base_as_it_was() -> None:
    speaker = Speaker.load(weights_dir())
    before = {n: p.detach().clone() for n, p in speaker.model.named_parameters()}
    recipe = Recipe(steps=2, batch=4)
    changed = injection.inject(speaker, [("What is it?", "It is blue.")], [("Who?", "I don't know.")], recipe, 0)
    injection.remove(changed)
    after = dict(speaker.model.named_parameters())
    assert set(after) == set(before)
    assert all(torch.equal(before[name], value) for name, value in after.items())
