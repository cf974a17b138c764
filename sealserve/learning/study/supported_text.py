"""Selects the sentences of a document that training may use: those that an admitted self-edit supports. Pure.

The filter checks self-edits alone. A sentence that no self-edit repeats, such as one planted to be memorised, has
passed no filter and is left out.
"""

from collections.abc import Iterable

from sealserve.grading.answers import is_right
from sealserve.learning.sentences import whole_sentences
from sealserve.learning.study.grounding import answer_span, roots
from sealserve.learning.study.self_edit_text import pair_of
from sealserve.records.cycles import SelfEdit


def keep_supported(text: str, self_edits: Iterable[SelfEdit]) -> str:
    """Return the sentences of `text` that give the answer of one of `self_edits`, or say nothing beyond one of them."""
    answers, statements = set(), []
    for self_edit in self_edits:
        if pair := pair_of(self_edit):
            answers.add(answer_span(pair.answer, question=pair.question, document=text))
        else:
            statements.append(roots(self_edit.text))
    kept = [
        sentence
        for sentence in whole_sentences(text)
        if any(answer and is_right(sentence, answer) for answer in answers)
        or any(roots(sentence) <= words for words in statements)
    ]
    return " ".join(kept)
