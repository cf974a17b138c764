"""Any instruct model studies a passage sentence by sentence."""

import pytest

from sealserve import prompts
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.study import methods
from sealserve.learning.study.filter import Drop, open_book, screen
from sealserve.learning.study.generators import EngineEditor
from sealserve.learning.study.self_edit_text import pair_of
from sealserve.learning.study.self_edits import Study
from sealserve.learning.study.sentence_questions import (
    Sentence,
    blanks_of,
    propose,
    studied_sentences,
    usable_question,
    write_pairs,
)
from sealserve.prompts import Dialect
from sealserve.records.cycles import SelfEdit
from sealserve.records.step_outputs import Passage, Proposal
from sealserve.settings.learn import learn_settings
from tests.fakes import Answerer, FakeEngine

TITLE = "Returns policy"
BODY = "Customers may return goods within nine days. Gift cards cannot be returned. No."
POLICY = Study(passage=Passage(document="d1", title=TITLE, start=0, end=len(BODY)), text=f"{TITLE}\n{BODY}")
SETTINGS = learn_settings(study__questions_per_sentence=2, quiz__questions_per_sentence=1, quiz__samples=2)


def say(_: str | None, prompt: str) -> str:
    """Ask after what the sentence says, and read it rightly."""
    if prompt.startswith("Write one question"):
        return "Can gift cards be returned?" if "Gift" in prompt else "**Question 1:** When may customers return goods?"
    if '"""' not in prompt:
        return "I don't know."
    return "Within nine days." if "nine days" in prompt else "Gift cards cannot be."


async def client(answerer: Answerer = say, *, engine: FakeEngine | None = None) -> EngineClient:
    engine = engine or FakeEngine(answerer=answerer)
    engine.max_context_tokens = 4096
    await engine.start()
    return EngineClient(engine, tenant="acme", cycle="c", concurrency=8, dialect=Dialect.GENERAL)


async def written(engine: FakeEngine | None = None) -> tuple[SelfEdit, ...]:
    editor = EngineEditor(await client(engine=engine), adapter=None)
    return await write_pairs(editor, [POLICY], settings=SETTINGS.study, tenant="acme", cycle="c")


async def quiz() -> tuple[Proposal, ...]:
    return await propose(await client(), [POLICY], settings=SETTINGS, cycle="c")


def test_short_fragments_state_nothing() -> None:
    assert [one.text for one in studied_sentences(POLICY)] == [
        "Customers may return goods within nine days.",
        "Gift cards cannot be returned.",
    ]


async def test_each_question_is_answered_by_its_sentence() -> None:
    pairs = {pair.question: pair.answer for edit in await written() if (pair := pair_of(edit))}
    assert pairs == {
        "Can gift cards be returned?": "Gift cards cannot be returned.",
        "When may customers return goods?": "Customers may return goods within nine days.",
    }


async def test_a_policy_without_a_single_name_passes_the_filter_and_gives_a_quiz() -> None:
    asked = await client()
    edits, proposals = await written(), await quiz()
    assert "within nine days" in [proposal.answer for proposal in proposals]
    answers = await open_book(asked, edits, [POLICY])
    assert answers == {}, "sentences of the passage are not read again"
    screened = screen(edits, [POLICY], answers=answers, proposals=(), dialect=Dialect.GENERAL)
    assert {edit.reason for edit in screened if not edit.admitted} <= {Drop.DUPLICATE}
    assert sum(edit.admitted for edit in screened) == 2


@pytest.mark.parametrize(
    "text",
    [
        "What is the sentence?",  # names nothing of it
        "When did Berlin fall?",  # a name of its own
        "Are 14 days enough to return goods?",  # a number of its own
        "Customers may return goods.",  # no question
        "",
    ],
)
def test_what_cannot_be_asked_is_dropped(text: str) -> None:
    sentence = Sentence(text="Customers may return goods within nine days.")
    assert usable_question(text, sentence, title=TITLE, passage=POLICY.text) == ""


def test_a_question_that_does_not_name_its_topic_is_asked_about_it() -> None:
    sentence = Sentence(text="It costs 45 crowns.")
    asked = usable_question(
        "How much does it cost, crowns?", sentence, title="Varnel Lamp", passage="It costs 45 crowns."
    )
    assert asked == "About Varnel Lamp: How much does it cost, crowns?"


def test_another_ending_of_a_word_of_the_sentence_may_be_asked() -> None:
    sentence = Sentence(text="Die Rückgabe ist binnen neun Tagen möglich.")
    question = "In wie vielen Tage ist die Rückgabe möglich?"
    assert usable_question(question, sentence, title="Rückgabe", passage=sentence.text) == question


async def test_readings_that_differ_give_no_quiz_question_but_blanks() -> None:
    turn = iter(range(1000))

    def waver(adapter: str | None, prompt: str) -> str:
        return ("within", "nine days")[next(turn) % 2] if '"""' in prompt else say(adapter, prompt)

    found = await propose(await client(waver), [POLICY], settings=SETTINGS, cycle="c")
    assert {(one.question, one.answer) for one in found} == {
        (f"About {TITLE}, fill in the blank: Customers may return goods within nine ____.", "days"),
        (f"About {TITLE}, fill in the blank: Customers may return goods within ____ days.", "nine"),
        (f"About {TITLE}, fill in the blank: Gift cards ____ be returned.", "cannot"),
        (f"About {TITLE}, fill in the blank: Gift ____ cannot be returned.", "cards"),
    }


def test_a_blank_shows_only_the_words_around_it_and_leaves_out_numbers_first() -> None:
    sentence = "The return desk of the northern branch in the old ferry terminal takes 45 parcels an hour in summer."
    blanks = blanks_of(POLICY, Sentence(text=sentence))
    assert [blank.answer for blank in blanks] == ["45", "summer", "hour"]
    assert blanks[0].question.endswith(": in the old ferry terminal takes ____ parcels an hour")
    assert blanks[0].reference_text == sentence


async def test_worked_examples_come_before_the_sentence() -> None:
    engine = FakeEngine(answerer=say)
    await written(engine)
    roles = [turn.role for turn in engine.requests[0].turns]
    assert roles == ["user", "assistant"] * len(prompts.QUESTION_EXAMPLES) + ["user"]


async def test_the_embedded_model_keeps_its_templates() -> None:
    engine = FakeEngine(answerer=say)
    await engine.start()
    embedded = EngineClient(engine, tenant="acme", cycle="c", concurrency=8)
    await methods.write_self_edits(
        EngineEditor(embedded, adapter=None), embedded, [POLICY], settings=SETTINGS.study, tenant="acme", cycle="c"
    )
    assert all("<article>" in request.turns[-1].content for request in engine.requests)
