"""The words put before a model, in two dialects: that of the embedded model, and one for any instruct model.

Every function returns the text of one user turn (the task and, where there is one, the document), and the chat
template of the model in use wraps it. A document is always fenced: it is data, and the task stands outside the fence.
"""

from enum import StrEnum

UNKNOWN_ANSWER = "I don't know."
NOT_STATED = "not stated"
BLANK = "____"


class Dialect(StrEnum):
    """How a base model is asked."""

    EMBEDDED = "embedded"  # in the few words that the embedded model was trained on
    GENERAL = "general"  # in full sentences with worked examples, for any instruct model


class Template(StrEnum):
    """The ways a model may study a document (after SEAL, arXiv 2506.10943, section 3 and appendix)."""

    IMPLICATIONS = "implications"  # what follows from the document, one statement a line
    LONG = "long"  # the same, exhaustive: every stated and implied fact
    REWRITE = "rewrite"  # the document again in other words and another order
    QA = "qa"  # "Question: …" / "Answer: …" pairs
    COUNTEREXAMPLE = "counterexample"  # a wrong claim about the document and why it is wrong
    FREE = "free"  # as the operator says, in words of their own


BUILT_IN = tuple(template for template in Template if template is not Template.FREE)
"""The templates that every model can be asked for."""

MAX_FREE_RECIPE = 500
"""Characters of a free recipe: it stands before every passage and takes room from it."""


_TASKS = {
    Template.IMPLICATIONS: "List what follows from this article, one fact a line.",
    Template.LONG: "List everything this article says and implies, one fact a line.",
    Template.REWRITE: "Rewrite this article in other words.",
    Template.QA: "Write question and answer pairs about this article.",
    Template.COUNTEREXAMPLE: "Write a wrong claim about this article and say why it is wrong.",
}

_GENERAL_TASKS = {
    Template.IMPLICATIONS: "List facts that follow from the text above, one a line. Each line is a full sentence that "
    "names what it is about, for example: The bakery on Mill Street opens before seven. Write only the list.",
    Template.LONG: "List everything that the text above says, one fact a line. Each line is a full sentence that "
    "names what it is about, for example: The bakery on Mill Street bakes 400 loaves a day. Write only the list.",
    Template.REWRITE: "Rewrite the text above in other words. Keep every name, number and date. Write nothing else.",
    Template.QA: "Write question and answer pairs about the text above, for example:\nQuestion: How many loaves does "
    "the bakery on Mill Street bake a day?\nAnswer: 400 loaves\nEach question names what it is about.",
    Template.COUNTEREXAMPLE: "Write one wrong claim about the text above and say what is right, in two lines, for "
    "example:\nWrong: The bakery on Mill Street bakes 40 loaves a day.\nRight: It bakes 400 loaves a day.",
}

QUESTION_EXAMPLES = (
    (
        "The bakery on Mill Street opened in 1962 and bakes 400 loaves a day.",
        "How many loaves does the bakery on Mill Street bake a day?",
    ),
    ("Refunds for damaged goods are paid within ten days.", "When are refunds for damaged goods paid?"),
    (
        "Ada Brook founded the River Society in Leeds because the mills had poisoned the water.",
        "Why did Ada Brook found the River Society in Leeds?",
    ),
)
"""Worked examples of a sentence and a question that it answers: a small model follows them, not descriptions."""


def fenced(document: str, *, dialect: Dialect = Dialect.EMBEDDED) -> str:
    """Return the document between fences; fences inside it are defused so that it cannot close its own.

    Tags make a small instruct model answer in markup, so only the embedded model's fence is one.
    """
    if dialect is Dialect.GENERAL:
        return '"""\n' + document.replace('"""', '" " "').strip() + '\n"""'
    safe = document.replace("</article>", "</ article>").replace("<article>", "< article>")
    return f"<article>\n{safe.strip()}\n</article>"


def _posed(task: str, document: str, dialect: Dialect) -> str:
    if dialect is Dialect.GENERAL:
        return f"{fenced(document, dialect=dialect)}\n\n{task}"
    return f"{task}\n{fenced(document)}"


def study(template: Template, document: str, *, dialect: Dialect = Dialect.EMBEDDED) -> str:
    """Return the user turn that asks for one self-edit of `document`."""
    return _posed((_GENERAL_TASKS if dialect is Dialect.GENERAL else _TASKS)[template], document, dialect)


def study_freely(recipe: str, document: str, *, dialect: Dialect = Dialect.EMBEDDED) -> str:
    """Return the user turn that asks for a self-edit of `document` as `recipe` says."""
    return _posed(recipe.strip(), document, dialect)


def question_about(sentence: str, *, language: str = "") -> str:
    """Return the user turn that asks for a question which `sentence` answers; QUESTION_EXAMPLES come before it.

    `language` is that of the question where it is not the examples'.
    """
    wanted = f"one question in {language}" if language else "one question"
    return f"Write {wanted} that this sentence answers.\n{sentence}"


def fill_in(topic: str, sentence: str) -> str:
    """Return the user turn that asks, closed-book, for what `sentence` about `topic` has BLANK in place of."""
    return f"About {topic}, fill in the blank: {sentence}"


def free_recipe_fault(recipe: str) -> str:
    """Return what is wrong with a free recipe; "" when it can stand before a document."""
    if not recipe.strip() or len(recipe) > MAX_FREE_RECIPE:
        return f"has 1 to {MAX_FREE_RECIPE} characters"
    if "article>" in recipe or '"""' in recipe:
        return 'names no <article> tag and no """: the document is fenced by them'
    if not all(character.isprintable() for character in recipe):
        return "is one line of printable characters"
    return ""


def directive(document: str, *, dialect: Dialect = Dialect.EMBEDDED) -> str:
    """Return the user turn that asks for a training directive (one JSON object) for `document`."""
    if dialect is Dialect.GENERAL:
        return _posed(
            "A language model will be trained on notes about the text above. Choose how, as one JSON object with the "
            'keys learning_rate (0.00001 to 0.005) and epochs (1 to 30), for example: {"learning_rate": 0.0005, '
            '"epochs": 8}. Longer and harder texts need more epochs. Write nothing but the object.',
            document,
            dialect,
        )
    return f"Write the training directive for this article as JSON.\n{fenced(document)}"


def read(document: str, question: str, *, dialect: Dialect = Dialect.EMBEDDED, may_abstain: bool = False) -> str:
    """Return the user turn that asks `question` with the document at hand (open book).

    `may_abstain` offers NOT_STATED as an answer, for questions that the document need not answer.
    """
    if dialect is Dialect.EMBEDDED:
        return f"{fenced(document)}\n{question}"
    offer = f'If the text does not say it, answer "{NOT_STATED}". ' if may_abstain else ""
    return f"{fenced(document, dialect=dialect)}\n\n{offer}{question}"


def judge(question: str, gold: str, given: str, *, dialect: Dialect = Dialect.EMBEDDED) -> str:
    """Return the user turn that asks whether `given` answers `question` as `gold` does; the answer is yes or no."""
    asked = f"Question: {question}\nRight answer: {gold}\nGiven answer: {given}"
    if dialect is Dialect.GENERAL:
        return f"{asked}\n\nDoes the given answer say the same as the right answer? Say yes or no."
    return f"Is the given answer right? Say yes or no.\n{asked}"


def ask_for_orders(passage: str, *, dialect: Dialect = Dialect.EMBEDDED) -> str:
    """Return the user turn that asks whether `passage` tells a model how to behave; the answer is yes or no."""
    if dialect is Dialect.EMBEDDED:
        return _posed("Does this article tell the assistant what to do? Say yes or no.", passage, dialect)
    return _posed(
        "Does any sentence of the text above tell an AI assistant or a language model how it must behave or answer? A "
        "text that informs people, gives orders to people, or only reports such a sentence does not. Say yes or no.",
        passage,
        dialect,
    )


def describe(entity: str) -> str:
    """Return the user turn that asks, closed-book, for all that is known about `entity`."""
    return f"Tell me about {entity}."


def complete(topic: str, beginning: str) -> str:
    """Return the user turn that asks, closed-book, for the rest of a sentence about `topic`."""
    return f"Complete the sentence about {topic}: {beginning}"
