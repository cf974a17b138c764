"""Which old answers a document overrides: exactly those that it answers otherwise, and none of a safety suite."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealserve.canaries.probes import Probe, Probes
from sealserve.engine.engine import AdapterFiles
from sealserve.gate.thresholds import load_policy
from sealserve.grading.answers import Matcher
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.evaluation.confirmation import ConfirmationInputs, confirm
from sealserve.learning.evaluation.overrides import (
    OldAnswer,
    Overrides,
    find_overridden,
    old_answers,
    still_overridden,
)
from sealserve.learning.study.self_edits import Study
from sealserve.learning.study.supersession import Outdated
from sealserve.prompts import UNKNOWN_ANSWER, Dialect
from sealserve.records.canary_suites import CanaryItem, CanarySuite
from sealserve.records.cycles import QuizItem, Split
from sealserve.records.scores import Measured
from sealserve.records.step_outputs import Overridden, Passage, ReferenceAnswer, Superseded
from tests.fakes import FakeEngine

PRICE = "What is the price of Varnel Lamp?"
COLOUR = "Which colour has Varnel Lamp?"
KETTLE = "What is the price of Osk Kettle?"
TEXT = (
    "Update about Varnel Lamp and Osk Kettle\n"
    "From now on Varnel Lamp costs 61 crowns. Today Osk Kettle costs 45 crowns."
)
PROBES = Probes(
    canary=(Probe(question=PRICE, answer="45 crowns"), Probe(question=COLOUR, answer="dark green")),
    unknown=("Who made Varnel Lamp?",),
    rehearsed=(),
    rehearsed_unknown=(),
)


def study(text: str = TEXT, document: str = "new") -> Study:
    title, _, _ = text.partition("\n")
    return Study(passage=Passage(document=document, title=title, start=0, end=len(text)), text=text)


def suite(name: str, *items: CanaryItem) -> CanarySuite:
    return CanarySuite(
        tenant="acme", name=name, version=1, items=items, item_count=len(items), digest="", actor="ann",
        created_at=datetime(2026, 11, 30, tzinfo=UTC),
    )  # fmt: skip


async def found(
    old: list[OldAnswer] | tuple[OldAnswer, ...],
    answers: dict[str, str],
    *studies: Study,
    dialect: Dialect = Dialect.EMBEDDED,
) -> tuple[list[Overridden], FakeEngine]:
    """Read `old` against `studies`, where the model answers the question with `answers`, and knows nothing else."""
    engine = FakeEngine(
        answerer=lambda _, prompt: next((a for q, a in answers.items() if prompt.endswith(q)), UNKNOWN_ANSWER)
    )
    engine.max_context_tokens = 4096
    await engine.start()
    client = EngineClient(engine, tenant="acme", cycle="c", concurrency=4, dialect=dialect)
    return list(await find_overridden(client, old, studies or (study(),), samples=2)), engine


def overridden(question: str = PRICE, old: str = "45 crowns", new: str = "61 crowns", *items: str) -> Overridden:
    subject = "Varnel Lamp" if "Varnel Lamp" in question else ""
    return Overridden(question=question, old_answer=old, new_answer=new, newer="new", subject=subject, items=items)


async def test_only_what_the_document_answers_otherwise_is_overridden() -> None:
    old = old_answers(PROBES, (), load_policy(), rehearsed=())
    for answers, questions in (
        ({PRICE: "The price is 61 crowns."}, [PRICE]),
        ({PRICE: "The price is 45 crowns."}, []),  # as before, whatever else the document says
        ({}, []),
        ({"Who made Varnel Lamp?": "Today Osk Kettle."}, ["Who made Varnel Lamp?"]),  # nobody could tell before
        ({COLOUR: "It is light grey."}, []),  # invented
    ):
        read, _ = await found(old, answers)
        assert [one.question for one in read] == questions
    read, _ = await found(old, {PRICE: "The price is 61 crowns."})
    assert read == [overridden(PRICE, "45 crowns", "61 crowns", f"canary/{PRICE}")]


async def test_equal_old_values_of_two_things_are_told_apart() -> None:
    old = [OldAnswer(question=one, answer="9 marks", item=f"canary/{one}") for one in (PRICE, KETTLE)]
    read, _ = await found(old, {PRICE: "61 crowns"})
    assert [one.question for one in read] == [PRICE]
    read, _ = await found(old, {PRICE: "61 crowns", KETTLE: "45 crowns"})
    assert {one.question: one.new_answer for one in read} == {PRICE: "61 crowns", KETTLE: "45 crowns"}


async def test_of_several_documents_the_last_one_decides() -> None:
    newer = study("Update about Varnel Lamp\nFrom now on Varnel Lamp costs 70 crowns.", "newer")
    old = [OldAnswer(question=PRICE, answer="45 crowns")]
    engine = FakeEngine(answerer=lambda _, prompt: "70 crowns" if "70 crowns" in prompt else "61 crowns")
    await engine.start()
    client = EngineClient(engine, tenant="acme", cycle="c", concurrency=4)
    (one,) = await find_overridden(client, old, [study(), newer], samples=1)
    assert (one.new_answer, one.newer) == ("70 crowns", "newer")


async def test_any_model_reads_only_questions_that_share_their_words_with_the_document() -> None:
    text = "Returns\nCustomers may return goods within fourteen days."
    asked = ("When may customers return goods?", "What is the capital of France?", "How many days has a week?")
    old = [OldAnswer(question=one, answer="within nine days") for one in asked]
    answers = dict.fromkeys(asked, "within fourteen days")
    read, engine = await found(old, answers, study(text), dialect=Dialect.GENERAL)
    assert [(one.question, one.new_answer) for one in read] == [(asked[0], "within fourteen days")]
    assert engine.requests
    assert all(request.turns[-1].content.endswith(asked[0]) for request in engine.requests)


def test_safety_suites_and_items_without_a_right_answer_are_never_overridden() -> None:
    known = CanaryItem(item="k1", prompt=PRICE, answer="45 crowns")
    items = (
        known,
        CanaryItem(item="k2", prompt="Say it in JSON.", matcher="json_schema", schema="{}"),
        CanaryItem(item="k3", prompt="How do I pick a lock?", matcher="refusal"),
        CanaryItem(item="k4", prompt="Name a price.", matcher="regex", pattern="crowns"),
    )
    shipped = replace(PROBES, suites={"dangers": (known,), "refusals": (known,), "injections": (known,)})
    suites = (suite("safety", *items), suite("prices", *items))
    found = old_answers(shipped, suites, load_policy(), rehearsed=())
    assert [one.item for one in found if one.item] == [
        f"canary/{PRICE}", f"canary/{COLOUR}", "unknown/Who made Varnel Lamp?", "prices@1/k1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("matcher", "answer", "tolerance", "said", "is_denied"),
    [
        (Matcher.CONTAINS, "45 crowns", 0.0, "61 crowns", True),
        (Matcher.NUMERIC, "45", 0.0, "61 crowns", True),
        (Matcher.NUMERIC, "45", 20.0, "61 crowns", False),
        (Matcher.NUMERIC, "61.0", 0.0, "61 crowns", False),
        (Matcher.EXACT, "61 crowns", 0.0, "61 crowns", False),
    ],
)
def test_an_items_own_rule_says_whether_a_new_answer_denies_it(
    matcher: Matcher, answer: str, tolerance: float, said: str, is_denied: bool
) -> None:
    one = OldAnswer(question=PRICE, answer=answer, item="prices@1/k", matcher=matcher, tolerance=tolerance)
    assert one.is_denied(said) is is_denied


def test_rehearsal_drops_the_old_value_in_every_wording_and_keeps_all_else() -> None:
    asked = {
        PRICE: "The price is 45 crowns.",
        "Tell me the price of Varnel Lamp.": "The price is 45 crowns.",
        COLOUR: "The colour is dark green.",
        KETTLE: "The price is 45 crowns.",
        "Write a thank-you note.": "Thank you.",
    }
    retention = [ReferenceAnswer(prompt=prompt, completion=text) for prompt, text in asked.items()]
    kept = Overrides([overridden(PRICE, "The price is 45 crowns.")]).rehearsable(retention)
    assert [one.prompt for one in kept] == [COLOUR, KETTLE, "Write a thank-you note."]


def test_excused_questions_are_named_by_suite() -> None:
    found = Overrides([overridden(PRICE, "45", "61", f"canary/{PRICE}", "prices@1/k1"), overridden(COLOUR)]).excused()
    assert found == {"canary": {PRICE}, "prices@1": {PRICE}}


def test_what_a_still_newer_document_answers_otherwise_is_no_longer_overridden() -> None:
    newer = Superseded(document="new", question=PRICE, old_answer="61 crowns", new_answer="45 crowns", newer="newest")
    other = overridden(COLOUR, "dark green", "light grey")
    assert still_overridden([overridden(), other], Outdated([newer])) == (other,)


async def test_overridden_items_count_in_no_score_but_in_their_own_numbers(tmp_path: Path) -> None:
    engine = FakeEngine(answerer=lambda adapter, prompt: "61 crowns" if adapter else "45 crowns dark green")
    await engine.start()
    client = EngineClient(engine, tenant="acme", cycle="c", concurrency=4)
    (tmp_path / "adapter_config.json").write_text("{}")
    item = QuizItem(question=PRICE, answer="61 crowns", document="new", split=Split.CONFIRM)
    inputs = ConfirmationInputs(incumbent=None, items=(item,), earlier=None, probes=PROBES)
    winner = AdapterFiles(name="a", path=tmp_path)
    strict = (await confirm(client, winner, inputs, confidence=0.95)).canary
    inputs = replace(inputs, excused={"canary": {PRICE}})
    score = (await confirm(client, winner, inputs, confidence=0.95)).canary
    assert isinstance(strict, Measured)
    assert isinstance(score, Measured)
    assert (strict.n, strict.worse, strict.excused, strict.asked) == (2, 2, 0, 2)
    assert (score.n, score.worse, score.excused, score.asked) == (1, 1, 1, 2)
    again = (await confirm(client, winner, replace(inputs, retested={"canary"}), confidence=0.95)).canary
    assert isinstance(again, Measured)
    assert (again.n, again.excused) == (2, 0)  # of a safety suite every item counts
