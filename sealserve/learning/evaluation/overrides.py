"""Overrides: old answers that a tenant's newest documents contradict, in rehearsal and in regression suites.

Whatever is overridden is not rehearsed, and no regression: a version is not held to an answer that its documents deny.
Found by reading, as superseded answers of earlier documents are. Safety suites are never overridden.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sealserve.canaries.probes import Probes
from sealserve.gate.thresholds import Policy, SafetyRule
from sealserve.grading.answers import Matcher, is_right, is_right_by, normalised
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.study.grounding import answer_span, subject_of, subjects_of
from sealserve.learning.study.self_edits import Study
from sealserve.learning.study.supersession import Outdated, Statement, contradictions
from sealserve.prompts import UNKNOWN_ANSWER
from sealserve.records.canary_suites import CanarySuite, suite_key
from sealserve.records.step_outputs import Overridden, ReferenceAnswer, Superseded

CANARY, UNKNOWN = "canary", "unknown"
"""The shipped suites of facts and of unknown things; those of forms, refusals, orders and dangers ask for no fact."""

_OF_FACTS = frozenset((Matcher.CONTAINS, Matcher.EXACT, Matcher.NUMERIC, Matcher.CHOICE, Matcher.JUDGE))
"""Matchers whose items have a right answer that a document may give otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldAnswer:
    """A question that is rehearsed or measured, with the answer that counts as right. `item` is "" if rehearsed."""

    question: str
    answer: str
    item: str = ""  # "suite/item"
    matcher: Matcher = Matcher.CONTAINS
    tolerance: float = 0.0

    def is_denied(self, new_answer: str) -> bool:
        """Return whether `new_answer` is wrong by the item's own rule."""
        if self.matcher in (Matcher.NUMERIC, Matcher.EXACT):
            return not is_right_by(self.matcher, new_answer, gold=self.answer, tolerance=self.tolerance)
        return not is_right(new_answer, self.answer)


def old_answers(
    probes: Probes, suites: Iterable[CanarySuite], policy: Policy, *, rehearsed: Iterable[ReferenceAnswer]
) -> tuple[OldAnswer, ...]:
    """Return what documents may override: shipped facts and unknown things, tenants' `suites`, and what is rehearsed.

    No item of a suite under the policy's safety rule is among them.
    """
    return (
        *(_old_answer(CANARY, one.question, question=one.question, answer=one.answer) for one in probes.canary),
        *(_old_answer(UNKNOWN, one, question=one, answer=UNKNOWN_ANSWER) for one in probes.unknown),
        *(
            _old_answer(
                name, one.item, question=one.prompt, answer=one.answer, matcher=one.matcher, tolerance=one.tolerance
            )
            for suite in suites
            if not isinstance(policy.rule_of(name := suite_key(suite.name, suite.version)), SafetyRule)
            for one in suite.items
            if one.matcher in _OF_FACTS and one.answer
        ),
        *(OldAnswer(question=one.prompt, answer=one.completion) for one in rehearsed),
    )


def _old_answer(
    suite: str, item: str, *, question: str, answer: str, matcher: str = Matcher.CONTAINS, tolerance: float = 0.0
) -> OldAnswer:
    name = f"{suite}/{item}"
    return OldAnswer(question=question, answer=answer, item=name, matcher=Matcher(matcher), tolerance=tolerance)


async def find_overridden(
    client: EngineClient, old: Sequence[OldAnswer], studies: Sequence[Study], *, samples: int
) -> tuple[Overridden, ...]:
    """Return the `old` answers that the passages contradict; of several passages the last decides.

    The model reads the questions that share content words with a passage; all of `samples` answers must agree.
    """
    asked: dict[tuple[str, str], list[OldAnswer]] = {}
    for one in old:
        asked.setdefault((one.question, one.answer), []).append(one)
    statements = [Statement(document="", question=question, answer=answer) for question, answer in asked]
    read = await contradictions(client, statements, studies, samples=samples)
    found = {(one.question, one.old_answer): one for one in read}
    subjects = {study.passage.document: subjects_of(study.text) for study in studies}
    return tuple(
        _overridden(one, denied, subject=subject_of(one.question, subjects[one.newer]))
        for key, one in found.items()
        if (denied := [old_answer for old_answer in asked[key] if old_answer.is_denied(one.new_answer)])
    )


def _overridden(one: Superseded, denied: Iterable[OldAnswer], *, subject: str) -> Overridden:
    return Overridden(
        question=one.question,
        old_answer=one.old_answer,
        new_answer=one.new_answer,
        newer=one.newer,
        subject=subject,
        items=tuple(old.item for old in denied if old.item),
    )


def statements_of_overrides(overridden: Iterable[Overridden]) -> tuple[Statement, ...]:
    """Return what the overriding documents say, to be held against still newer ones."""
    return tuple(Statement(document=one.newer, question=one.question, answer=one.new_answer) for one in overridden)


def still_overridden(overridden: Iterable[Overridden], outdated: Outdated) -> tuple[Overridden, ...]:
    """Return those whose new answers still hold: where a newer document has another, that one decides."""
    return tuple(one for one in overridden if not outdated.has(one.newer, one.question))


class Overrides:
    """Checks rehearsed answers and regression items against what is overridden."""

    def __init__(self, overridden: Iterable[Overridden]) -> None:
        self._found = tuple(overridden)
        self._questions = {(normalised(one.question), one.old_answer) for one in self._found}
        self._values = [(one.subject, _extract_value(one)) for one in self._found if one.subject]

    def rehearsable(self, retention: Iterable[ReferenceAnswer]) -> tuple[ReferenceAnswer, ...]:
        """Return the rehearsed answers that no document contradicts, neither by question nor by value and subject."""
        return tuple(one for one in retention if not self._denies(one))

    def excused(self) -> Mapping[str, frozenset[str]]:
        """Return the questions that are overridden, by regression suite."""
        found: dict[str, set[str]] = {}
        for one in self._found:
            for item in one.items:
                found.setdefault(suite_of(item), set()).add(one.question)
        return {suite: frozenset(questions) for suite, questions in found.items()}

    def _denies(self, reference: ReferenceAnswer) -> bool:
        if (normalised(reference.prompt), reference.completion) in self._questions:
            return True
        return any(
            subject in reference.prompt and is_right(reference.completion, value) for subject, value in self._values
        )


def suite_of(item: str) -> str:
    """Return the suite of "suite/item"."""
    return item.partition("/")[0]


def _extract_value(one: Overridden) -> str:
    """Return the words of the old answer that are not in the question."""
    return answer_span(one.old_answer, question=one.question, document=one.old_answer) or one.old_answer
