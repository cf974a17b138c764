"""What a newer document makes wrong, decided by reading it."""

from sealserve import prompts
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.study.self_edits import Study
from sealserve.learning.study.supersession import Outdated, Statement, contradictions, statements_of
from sealserve.prompts import UNKNOWN_ANSWER, Dialect, Template
from sealserve.records.cycles import QuizItem, SelfEdit, Split
from sealserve.records.step_outputs import Passage, Superseded
from tests.fakes import FakeEngine

NEWER = "Update about Varnel Lamp\nFrom now on Varnel Lamp costs 61 crowns. Varnel Lamp is painted dark green."
STUDY = Study(passage=Passage(document="new", title="Update", start=0, end=len(NEWER)), text=NEWER)
PRICE = Statement(document="old", question="What is the price of Varnel Lamp?", answer="The price is 45 crowns.")
FOUND = Superseded(
    document="old", question=PRICE.question, old_answer=PRICE.answer, new_answer="61 crowns", newer="new"
)


def self_edit(template: Template, text: str, *, document: str = "old") -> SelfEdit:
    return SelfEdit(
        tenant="acme", cycle="c", self_edit="p000-long-0-00", document=document, template=template, text=text, seed=1,
        admitted=True, reason="",
    )  # fmt: skip


async def found(told: Statement, *answers: str) -> tuple[Superseded, ...]:
    """Read `told`'s question against NEWER; the samples say `answers` in turn, the last one again and again."""
    left = list(answers)
    engine = FakeEngine(answerer=lambda _, prompt: left.pop(0) if len(left) > 1 else left[0])
    await engine.start()
    client = EngineClient(engine, tenant="acme", cycle="c", concurrency=1)
    return await contradictions(client, [told], [STUDY], samples=2)


async def test_another_answer_that_stands_in_the_newer_document_supersedes() -> None:
    assert await found(PRICE, "The price is 61 crowns.") == (FOUND,)


async def test_an_answer_that_is_unknown_unchanged_invented_or_wavering_does_not() -> None:
    assert await found(PRICE, UNKNOWN_ANSWER) == ()
    assert await found(PRICE, "The price is 70 crowns, they say.") == ()
    assert await found(PRICE, "The price is 61 crowns.", "The price is dark green.") == ()
    colour = Statement(document="old", question="Which colour has Varnel Lamp?", answer="dark green")
    assert await found(colour, "The colour is dark green.") == ()


async def test_questions_about_other_things_or_of_the_same_document_are_not_read() -> None:
    other = Statement(document="old", question="What is the price of Osk Kettle?", answer="9 crowns")
    own = Statement(document="new", question=PRICE.question, answer="45 crowns")
    assert await found(other, "The price is 61 crowns.") == ()
    assert await found(own, "The price is 61 crowns.") == ()


def test_the_quiz_and_the_notes_tell_each_question_once() -> None:
    item = QuizItem(question=PRICE.question, answer="45 crowns", document="old", split=Split.CONFIRM)
    self_edits = [
        self_edit(Template.QA, f"Question: {PRICE.question}\nAnswer: {PRICE.answer}"),
        self_edit(Template.QA, "Question: Who made Varnel Lamp?\nAnswer: Orla Finch."),
        self_edit(Template.LONG, "Varnel Lamp costs 45 crowns."),
    ]
    assert [one.answer for one in statements_of(self_edits, [item])] == ["45 crowns", "Orla Finch."]


def test_what_states_the_old_value_is_spoilt_and_nothing_else() -> None:
    outdated = Outdated([FOUND])
    assert outdated.spoils(self_edit(Template.QA, f"Question: {PRICE.question}\nAnswer: It is 45 crowns."))
    assert outdated.spoils(
        self_edit(Template.QA, "Question: How much is Varnel Lamp?\nAnswer: The price is 45 crowns.")
    )
    assert outdated.spoils(self_edit(Template.LONG, "Varnel Lamp sells for 45 crowns."))
    wrong = "Wrong: Varnel Lamp costs 45 crowns.\nWhy: It costs 61 crowns."
    assert not outdated.spoils(self_edit(Template.COUNTEREXAMPLE, wrong))
    assert not outdated.spoils(self_edit(Template.LONG, "Varnel Lamp is painted dark green."))
    assert not outdated.spoils(self_edit(Template.LONG, "Osk Kettle sells for 45 crowns.", document="other"))


def test_a_text_loses_the_sentences_that_state_the_old_value() -> None:
    outdated = Outdated([FOUND])
    text = "Varnel Lamp is big. It costs 45 crowns. It is green."
    assert outdated.without("old", text) == "Varnel Lamp is big. It is green."
    assert outdated.without("other", text) == text


def test_questions_whose_answers_still_hold_stay() -> None:
    items = [
        QuizItem(question=question, answer=answer, document=document, split=Split.CONFIRM)
        for question, answer, document in (
            (PRICE.question, "45 crowns", "old"),
            ("How much is Varnel Lamp?", "45 crowns", "old"),
            ("Which colour has Varnel Lamp?", "dark green", "old"),
            (PRICE.question, "45 crowns", "other"),
        )
    ]
    assert Outdated([FOUND]).valid(items) == tuple(items[2:])


WORDINGS = ("What is the {} of Varnel Lamp?", "How much is the {} of Varnel Lamp?", "Varnel Lamp has which {}?")
UPDATE = "Update\nFrom now on the price of Varnel Lamp is 61 crowns."


async def changed(answers: dict[str, str]) -> set[str]:
    """Read three wordings of two questions against UPDATE; `answers` holds what is said to each word asked for."""
    told = [
        Statement(document="old", question=wording.format(word), answer=answer)
        for word, answer in (("price", "The price is 45 crowns."), ("fee", "7 marks"))
        for wording in WORDINGS
    ]
    engine = FakeEngine(answerer=lambda _, prompt: next((a for w, a in answers.items() if w in prompt), UNKNOWN_ANSWER))
    await engine.start()
    client = EngineClient(engine, tenant="acme", cycle="c", concurrency=4)
    study = Study(passage=Passage(document="new", title="Update", start=0, end=len(UPDATE)), text=UPDATE)
    return {one.old_answer for one in await contradictions(client, told, [study], samples=1)}


async def test_a_new_value_replaces_what_is_asked_for_in_its_own_words() -> None:
    both = {f"\n{wording.format(word)}": "61 crowns" for word in ("price", "fee") for wording in WORDINGS}
    assert await changed(both) == {"The price is 45 crowns."}


async def test_one_misread_wording_among_many_supersedes_nothing() -> None:
    assert await changed({f"\n{WORDINGS[0].format('fee')}": "61 crowns"}) == set()
    most = {f"\n{wording.format('price')}": "61 crowns" for wording in WORDINGS[:2]}
    assert await changed(most) == {"The price is 45 crowns."}


async def test_a_newer_policy_replaces_an_older_one_though_neither_names_anything() -> None:
    newer = "Customers may return goods within fourteen days."
    told = [Statement(document="old", question="When may customers return goods?", answer="within nine days")]
    engine = FakeEngine(answerer=lambda _, prompt: "Within fourteen days." if newer in prompt else UNKNOWN_ANSWER)
    engine.max_context_tokens = 4096
    await engine.start()
    study = Study(passage=Passage(document="new", title="Returns", start=0, end=len(newer)), text=newer)
    found = {}
    for dialect in Dialect:
        client = EngineClient(engine, tenant="acme", cycle="c", concurrency=4, dialect=dialect)
        found[dialect] = [one.new_answer for one in await contradictions(client, told, [study], samples=2)]
    assert found == {Dialect.EMBEDDED: [], Dialect.GENERAL: ["within fourteen days"]}
    assert any(prompts.NOT_STATED in request.turns[-1].content for request in engine.requests)


TWO = (
    "Update about Varnel Lamp and Osk Kettle\n"
    "Varnel Lamp costs 61 crowns. It is painted dark green. Osk Kettle was made by Orla Finch."
)
"""On two things, of which each sentence names one or goes on about it."""


async def read_of_two(question: str, old: str, new: str, dialect: Dialect) -> tuple[list[str], list[str]]:
    """Read one question against TWO; return the new answers found, and the prompts."""
    engine = FakeEngine(answerer=lambda _, prompt: new)
    engine.max_context_tokens = 4096
    await engine.start()
    client = EngineClient(engine, tenant="acme", cycle="c", concurrency=4, dialect=dialect)
    study = Study(passage=Passage(document="new", title="Update", start=0, end=len(TWO)), text=TWO)
    found = await contradictions(client, [Statement(document="old", question=question, answer=old)], [study], samples=1)
    return [one.new_answer for one in found], [request.turns[-1].content for request in engine.requests]


async def test_a_small_model_reads_only_what_the_passage_says_about_the_thing_asked_for() -> None:
    asked = "Who made Varnel Lamp?"
    found, prompts_read = await read_of_two(asked, "Ida Brook", "Orla Finch", Dialect.EMBEDDED)
    assert found == []  # it made the kettle
    assert "61 crowns" in prompts_read[0]
    assert "dark green" in prompts_read[0]
    assert "Orla Finch" not in prompts_read[0]
    found, prompts_read = await read_of_two("Who made Osk Kettle?", "Ida Brook", "Orla Finch", Dialect.EMBEDDED)
    assert found == ["orla finch"]
    assert "61 crowns" not in prompts_read[0]
    _, prompts_read = await read_of_two(asked, "Ida Brook", "Orla Finch", Dialect.GENERAL)
    assert TWO in prompts_read[0]


async def test_what_is_asked_about_a_namesake_is_not_read() -> None:
    found, prompts_read = await read_of_two("Who made Belmar Kettle?", "Ida Brook", "Orla Finch", Dialect.EMBEDDED)
    assert (found, prompts_read) == ([], [])


async def test_a_number_is_not_replaced_by_a_word_in_the_general_dialect() -> None:
    found, _ = await read_of_two("What is the weight of Osk Kettle?", "3 kilos", "Orla Finch", Dialect.GENERAL)
    assert found == []
