"""Which fact each quiz question asks about, and how facts are divided between the halves of the quiz. Pure.

Questions on one fact are answered rightly or wrongly together: they are no independent evidence, and a half that has
one of them has seen the fact.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sealserve.grading.answers import normalised
from sealserve.learning.study.quiz import is_for_quiz, order_of, split_of
from sealserve.records.cycles import Split
from sealserve.records.step_outputs import Proposal

FACTS_APART = 16
"""From so many facts in a cycle on, each fact is asked about in one half alone. Half of fewer are too few to show
a gain on: then both halves ask about every fact, in different words, unless no fact has two questions."""

_Fact = tuple[str, str]
"""Document, and the answer that stands for it."""


def with_facts(proposals: Sequence[Proposal]) -> tuple[Proposal, ...]:
    """Return the proposals with their facts and halves, in the same order.

    A fact is a document's answer; answers that contain each other as whole words are one fact. Of a fact with several
    questions, one is reserved for the quiz in any case.
    """
    answers: dict[str, list[str]] = {}
    for proposal in proposals:
        answers.setdefault(proposal.document, []).append(normalised(proposal.answer))
    named = {document: _merge(found) for document, found in answers.items()}
    groups: dict[_Fact, list[Proposal]] = {}
    for proposal in sorted(proposals, key=lambda p: (not p.is_given, order_of(p.question), p.document)):
        fact = named[proposal.document][normalised(proposal.answer)]
        groups.setdefault((proposal.document, fact), []).append(proposal)
    is_apart = len(groups) >= FACTS_APART or all(len(group) == 1 for group in groups.values())
    placed: dict[tuple[str, str], Proposal] = {}
    for turn, (document, fact) in enumerate(sorted(groups, key=lambda key: (key[0], order_of(key[1])))):
        for place, proposal in enumerate(groups[document, fact]):
            placed[document, proposal.question] = replace(
                proposal,
                fact=fact,
                split=(Split.CONFIRM, Split.SELECT)[(turn if is_apart else place) % 2],
                is_reserved=place == 0 and len(groups[document, fact]) > 1,
            )
    return tuple(placed[proposal.document, proposal.question] for proposal in proposals)


def half_of(proposal: Proposal) -> Split:
    """Return the half that the question belongs to; by its words if the record is of an earlier release."""
    return proposal.split or split_of(proposal.question)


def is_reserved(proposal: Proposal) -> bool:
    """Return whether a self-edit that asks the same question may not be trained on."""
    return proposal.is_given or proposal.is_reserved or is_for_quiz(proposal.question)


def _merge(answers: Iterable[str]) -> dict[str, str]:
    """Return the longest answer of its group for each; groups are joined by any answer that contains another."""
    distinct = sorted(set(answers), key=lambda answer: (-len(answer), answer))
    group = {answer: answer for answer in distinct}
    for place, longer in enumerate(distinct):
        for shorter in distinct[place + 1 :]:
            if f" {shorter} " in f" {longer} " and group[shorter] != group[longer]:
                first, second = sorted((group[longer], group[shorter]), key=distinct.index)
                group = {answer: first if name == second else name for answer, name in group.items()}
    return group
