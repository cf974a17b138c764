"""The words put before a model: one format for the nano model's training, for self-edits and for serving.

Every function returns the text of one user turn (the task
and, where there is one, the document), and the chat template of the model in use wraps it. A document is
always fenced by `<article>` tags: it is data, and the task stands outside the fence.
"""

from enum import StrEnum

UNKNOWN_ANSWER = "I don't know."


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


def fenced(document: str) -> str:
    """Return the document between `<article>` tags; tags inside it are defused so that it cannot close the fence."""
    safe = document.replace("</article>", "</ article>").replace("<article>", "< article>")
    return f"<article>\n{safe.strip()}\n</article>"


def study(template: Template, document: str) -> str:
    """Return the user turn that asks for one self-edit of `document`."""
    return f"{_TASKS[template]}\n{fenced(document)}"


def study_freely(recipe: str, document: str) -> str:
    """Return the user turn that asks for a self-edit of `document` as `recipe` says."""
    return f"{recipe.strip()}\n{fenced(document)}"


def free_recipe_fault(recipe: str) -> str:
    """Return what is wrong with a free recipe; "" when it can stand before a document."""
    if not recipe.strip() or len(recipe) > MAX_FREE_RECIPE:
        return f"has 1 to {MAX_FREE_RECIPE} characters"
    if "article>" in recipe:
        return "names no <article> tag: the document is fenced by it"
    if not all(character.isprintable() for character in recipe):
        return "is one line of printable characters"
    return ""


def directive(document: str) -> str:
    """Return the user turn that asks for a training directive (one JSON object) for `document`."""
    return f"Write the training directive for this article as JSON.\n{fenced(document)}"


def read(document: str, question: str) -> str:
    """Return the user turn that asks `question` with the document at hand (open book)."""
    return f"{fenced(document)}\n{question}"


def judge(question: str, gold: str, given: str) -> str:
    """Return the user turn that asks whether `given` answers `question` as `gold` does; the answer is yes or no."""
    asked = f"Question: {question}\nRight answer: {gold}\nGiven answer: {given}"
    return f"Is the given answer right? Say yes or no.\n{asked}"


def describe(entity: str) -> str:
    """Return the user turn that asks, closed-book, for all that is known about `entity`."""
    return f"Tell me about {entity}."
