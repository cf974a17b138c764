"""The tenant's own questions: evaluation sets and people's corrections, which come before generated quiz questions.

A question belongs to the document of the cycle that it is about and whose text contains the answer. Blocks; reads the
registry and writes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sealserve.grading.answers import Matcher, is_right, normalised
from sealserve.learning.study.grounding import is_about
from sealserve.learning.study.quiz import split_of
from sealserve.learning.study.self_edits import Study
from sealserve.records.cycles import QuizItem, Split
from sealserve.records.question_sets import EvaluationItem, EvaluationSet
from sealserve.records.step_outputs import Proposal
from sealserve.registry.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantQuestions:
    """The questions that measure a cycle beside its own quiz. `sets` are the revisions used, as "name@revision"."""

    sets: tuple[str, ...]
    proposals: tuple[Proposal, ...]


def read_tenant_questions(registry: Registry, tenant: str, studies: Sequence[Study]) -> TenantQuestions:
    """Return the tenant's own questions on the cycle's documents; of two alike the first set's counts."""
    sets = registry.question_sets.newest(tenant)
    items = [item for one in sets for item in one.items]
    corrected = [EvaluationItem(question=item.question, answer=item.answer) for item in corrections(registry, tenant)]
    found: dict[str, Proposal] = {}
    for item in (*items, *corrected):
        study = next((one for one in studies if _is_answered_by(item, one.text)), None)
        if study is not None:
            proposal = Proposal(
                document=study.passage.document,
                question=item.question,
                answer=item.answer,
                reference_text=item.answer,
                is_given=True,
            )
            found.setdefault(normalised(item.question), proposal)
    return TenantQuestions(sets=tuple(f"{one.name}@{one.revision}" for one in sets), proposals=tuple(found.values()))


def own_questions(registry: Registry, tenant: str, sets: Iterable[str]) -> tuple[QuizItem, ...]:
    """Return every question of the revisions in `sets`, about no document; of two alike the first set's counts."""
    found: dict[str, QuizItem] = {}
    for item in (item for one in sets for item in _read_revision(registry, tenant, one).items):
        asked = QuizItem(question=item.question, answer=item.answer, document="", split=Split.CONFIRM)
        found.setdefault(normalised(item.question), asked)
    return tuple(found.values())


def before_quiz(given: Sequence[Proposal], own: Iterable[Proposal], *, max_items: int) -> tuple[Proposal, ...]:
    """Return the tenant's questions and then generated ones, no question twice, `max_items` a document at most.

    All of the tenant's are returned, however many.
    """
    asked = {(one.document, normalised(one.question)) for one in given}
    room = {one.document: max_items for one in given}
    for one in given:
        room[one.document] -= 1
    kept = list(given)
    for proposal in own:
        left = room.get(proposal.document, max_items)
        if left > 0 and (proposal.document, normalised(proposal.question)) not in asked:
            room[proposal.document] = left - 1
            kept.append(proposal)
    return tuple(kept)


def rules_of(registry: Registry, tenant: str, sets: Iterable[str]) -> dict[str, tuple[Matcher, str]]:
    """Return the rules of the revisions in `sets`: (matcher, pattern) by normalised question. Raises: NotFound."""
    used = [_read_revision(registry, tenant, one) for one in sets]
    return {
        normalised(item.question): (Matcher(item.matcher), item.pattern) for one in reversed(used) for item in one.items
    }


def corrections(registry: Registry, tenant: str, split: Split | None = None) -> tuple[QuizItem, ...]:
    """Return what people corrected as questions with right answers, newest first; the newest word on each counts."""
    found: dict[str, QuizItem] = {}
    for kept in registry.feedback.corrections(tenant):
        question, answer = kept.opinion.question, kept.opinion.correction
        item = QuizItem(question=question, answer=answer, document="", split=split_of(question))
        found.setdefault(normalised(question), item)
    return tuple(item for item in found.values() if split is None or item.split is split)


def _is_answered_by(item: EvaluationItem, text: str) -> bool:
    return is_right(text, item.answer) and is_about(item.question, text)


def _read_revision(registry: Registry, tenant: str, name: str) -> EvaluationSet:
    wanted, _, revision = name.rpartition("@")
    return registry.question_sets.get(tenant, wanted, revision=int(revision))
