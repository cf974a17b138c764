"""Quiz questions come from what the model agrees on while it reads."""

from sealserve.learning.engine_client import EngineClient
from sealserve.learning.study.quiz import propose
from sealserve.learning.study.self_edits import Study
from sealserve.records.step_outputs import Passage
from sealserve.settings.learn import learn_settings
from tests.fakes import FakeEngine

BODY = "Varnel Lamp costs 45 crowns. Varnel Lamp is painted dark green."
TEXT = f"About Varnel Lamp\n{BODY}"
STUDY = Study(passage=Passage(document="d1", title="About Varnel Lamp", start=0, end=len(TEXT)), text=TEXT)
WRITTEN = """Question: What is the price of Varnel Lamp?
Answer: The price is 45 crowns.
Question: What is the colour of Varnel Lamp?
Answer: The colour is dark green.
Question: What is the price?
Answer: The price is 45 crowns.
Question: What is the weight of Varnel Lamp?
Answer: The weight is 12 kilos."""


def is_closed_book(prompt: str) -> bool:
    """Whether the prompt is a bare question."""
    return "\n" not in prompt


async def proposals(
    answers: dict[str, str], *, known: str = "I don't know.", **settings: int
) -> list[tuple[str, str, str]]:
    def say(_: str | None, prompt: str) -> str:
        if is_closed_book(prompt):
            return known
        if prompt.startswith("Write question"):
            return WRITTEN
        return next((answer for word, answer in answers.items() if word in prompt.rpartition("\n")[2]), "No idea.")

    engine = FakeEngine(answerer=say)
    await engine.start()
    client = EngineClient(engine, tenant="acme", cycle="c", concurrency=8)
    found = await propose(client, [STUDY], settings=learn_settings(**settings), cycle="c")
    return sorted((p.question, p.answer, p.reference_text) for p in found)


async def test_a_question_is_kept_when_reading_again_agrees_and_the_document_says_so() -> None:
    found = await proposals(
        {"price": "It costs 45 crowns.", "colour": "The colour is dark green.", "weight": "12 kilos"}
    )
    assert found == [
        ("What is the colour of Varnel Lamp?", "dark green", "The colour is dark green."),
        ("What is the price of Varnel Lamp?", "45 crowns", "It costs 45 crowns."),
    ]


async def test_a_question_that_reading_answers_otherwise_is_dropped() -> None:
    found = await proposals({"price": "The price is dark green.", "colour": "The colour is dark green."})
    assert [question for question, _, _ in found] == ["What is the colour of Varnel Lamp?"]


async def test_a_question_that_the_base_answers_with_the_book_closed_is_dropped() -> None:
    said = {"price": "The price is 45 crowns.", "colour": "The colour is dark green."}
    found = await proposals(said, known="Everybody knows: 45 crowns.")
    assert [question for question, _, _ in found] == ["What is the colour of Varnel Lamp?"]


async def test_a_document_gets_no_more_questions_than_allowed() -> None:
    said = {"price": "The price is 45 crowns.", "colour": "The colour is dark green."}
    assert len(await proposals(said, quiz__max_items=2)) == 2


async def test_sentences_that_nothing_asked_about_are_asked_about_alone_and_answered_from_the_whole() -> None:
    shown: list[str] = []

    def say(_: str | None, prompt: str) -> str:
        question = prompt.rpartition("\n")[2]
        if is_closed_book(prompt):
            return "I don't know."
        if not prompt.startswith("Write question"):
            return "The price is 45 crowns." if "price" in question else "The colour is dark green."
        shown.append(prompt)
        if "costs" in prompt:
            return "Question: What is the price of Varnel Lamp?\nAnswer: The price is 45 crowns."
        return (
            "Question: What is the colour of Varnel Lamp?\nAnswer: The colour is dark green.\n"
            "Question: What is the price of Varnel Lamp now?\nAnswer: The price is dark green.\n"
            "Question: What is the best price of Varnel Lamp?\nAnswer: The price is 45 crowns."
        )

    engine = FakeEngine(answerer=say)
    await engine.start()
    client = EngineClient(engine, tenant="acme", cycle="c", concurrency=8)
    found = await propose(client, [STUDY], settings=learn_settings(quiz__edits=4), cycle="c")
    assert {proposal.question: proposal.answer for proposal in found} == {
        "What is the price of Varnel Lamp?": "45 crowns",
        "What is the colour of Varnel Lamp?": "dark green",
    }
    assert ["costs" in prompt for prompt in shown] == [True] * 4 + [False] * 3  # alone, and in two rewordings
    assert all("About Varnel Lamp" in prompt for prompt in shown)


async def test_what_is_overlooked_in_the_documents_words_is_asked_about_in_the_models_own() -> None:
    def say(_: str | None, prompt: str) -> str:
        question = prompt.rpartition("\n")[2]
        if is_closed_book(prompt):
            return "I don't know."
        if prompt.startswith("Rewrite"):
            return "The price of Varnel Lamp is 45 crowns. Its hue is dark green."
        if not prompt.startswith("Write question"):
            return "The price is 45 crowns." if "price" in question else "The colour is dark green."
        if "hue" in prompt:
            return "Question: What is the hue of Varnel Lamp?\nAnswer: The hue is dark green."
        return "Question: What is the price of Varnel Lamp?\nAnswer: The price is 45 crowns."

    engine = FakeEngine(answerer=say)
    await engine.start()
    client = EngineClient(engine, tenant="acme", cycle="c", concurrency=8)
    for title in ("About Varnel Lamp", "Varnel Lamp"):  # the second begins the text itself
        text = f"{title}\n{BODY}" if title not in BODY[: len(title)] else BODY
        study = Study(passage=Passage(document="d1", title=title, start=0, end=len(text)), text=text)
        found = await propose(client, [study], settings=learn_settings(quiz__edits=4), cycle="c")
        assert {proposal.question: proposal.answer for proposal in found} == {
            "What is the price of Varnel Lamp?": "45 crowns",
            "What is the hue of Varnel Lamp?": "dark green",
        }
