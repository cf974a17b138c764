"""How much of a document's own text is trained on: the sentences that an admitted self-edit says, too.

The filter looks at self-edits alone. A sentence that no study of the document ever took up, such as one that is planted
to be learned by heart, has passed no filter; so it is left out. Pure.
"""

from collections.abc import Iterable

from sealserve.grading.answers import is_right
from sealserve.learning.study.grounding import answer_span, roots, sentences_of
from sealserve.learning.study.notes import pair_of
from sealserve.records.cycles import SelfEdit


def taken_up(text: str, notes: Iterable[SelfEdit]) -> str:
    """Return the sentences of `text` that give the answer of one of `notes`, or only say what one of them says."""
    answers, said = set(), []
    for note in notes:
        if pair := pair_of(note):
            answers.add(answer_span(pair.answer, question=pair.question, document=text))
        else:
            said.append(roots(note.text))
    kept = [
        sentence
        for sentence in sentences_of(text)
        if any(answer and is_right(sentence, answer) for answer in answers)
        or any(roots(sentence) <= words for words in said)
    ]
    return " ".join(kept)
