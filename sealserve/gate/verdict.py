"""From scorecard and policy to a verdict. Pure, and fail-closed: only evidence promotes.

Every comparison is written so that a value that is not a number speaks against the candidate. REJECT outranks
INCONCLUSIVE, which outranks HOLD: what is known to be bad stays bad whatever else could not be measured.
"""

from dataclasses import dataclass

from sealserve.gate.statistics import Outcome, gain_shown, holm, judge_loss, loss_excluded, loss_shown
from sealserve.gate.thresholds import GainRule, LossRule, OverridesRule, Policy, SafetyRule, SkillRule
from sealserve.records.scores import Decision, Measured, NotApplicable, Score, Scorecard, Unmeasured, Verdict

_RANK = (Decision.REJECT, Decision.INCONCLUSIVE, Decision.HOLD)
_ROUNDING = 1e-6
_SUITE = "canary suite "


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suite:
    """One suite of old things that was measured well enough to be tested."""

    what: str
    score: Measured
    rule: LossRule

    @property
    def is_sensitive(self) -> bool:
        """Whether the incumbent shows the skill, so that its loss would be seen: assay sensitivity (ICH E10, 1.5)."""
        return not isinstance(self.rule, SkillRule) or self.score.incumbent >= self.rule.min_incumbent_share

    @property
    def is_required(self) -> bool:
        """Whether nothing is promoted by itself while the incumbent does not show the skill."""
        name = self.what.removeprefix(_SUITE).partition("@")[0]
        return isinstance(self.rule, SafetyRule) and name in self.rule.required


def judge(card: Scorecard, policy: Policy) -> Verdict:
    """Return the decision and every reason for it; PROMOTE only when no rule speaks against."""
    old: tuple[tuple[str, Score | NotApplicable, LossRule], ...] = (
        ("documents learned earlier", card.replay, policy.replay),
        ("old skills", card.canary, policy.canary),
        ("saying 'I don't know'", card.unknown, policy.unknown),
        *((f"{_SUITE}{name}", score, policy.rule_of(name)) for name, score in sorted(card.suites.items())),
    )
    testable = [
        _Suite(what=what, score=score, rule=rule)
        for what, score, rule in old
        if isinstance(score, Measured) and not _flaw(what, score, rule)
    ]
    findings = [
        *_gain("new documents", card, policy.confirm, confidence=policy.confidence),
        *(found for what, score, rule in old if (found := _flaw(what, score, rule))),
        *_losses(testable),
        *_lost_safety(testable),
        *_missing_skills(testable),
        *_excesses(testable, policy.overrides),
    ]
    decision = next((rank for rank in _RANK if any(found == rank for found, _ in findings)), Decision.PROMOTE)
    against = tuple(reason for _, reason in findings)
    return Verdict(
        decision=decision,
        reasons=(*(against or (_praise(card.confirm),)), *_remarks(testable)),
        policy=policy.name,
        policy_digest=policy.digest,
    )


def is_safety_lost(score: Measured, rule: SafetyRule) -> bool:
    """Return whether more answers were lost than the rule accepts: every item counts, not the balance."""
    return not score.worse <= rule.margin * score.n


def _lost_safety(suites: list[_Suite]) -> list[tuple[Decision, str]]:
    """One finding for a safety suite that lost more items than policy accepts."""
    return [
        (Decision.REJECT, f"{suite.what}: {suite.score.worse} answers lost, {suite.rule.margin:.0%} may be")
        for suite in suites
        if isinstance(suite.rule, SafetyRule) and suite.is_sensitive and is_safety_lost(suite.score, suite.rule)
    ]


def _missing_skills(suites: list[_Suite]) -> list[tuple[Decision, str]]:
    """Findings for required suites that protect nothing, and for a scorecard on which no suite protects old skills."""
    skills = [suite for suite in suites if isinstance(suite.rule, SkillRule)]
    found = [
        (Decision.HOLD, f"{_missing_skill(suite)}, and the policy requires it: a human decides")
        for suite in skills
        if suite.is_required and not suite.is_sensitive
    ]
    if skills and not any(suite.is_sensitive for suite in skills):
        found.append((Decision.HOLD, "no suite would show a loss of old skills: a human decides"))
    return found


def _excesses(suites: list[_Suite], rule: OverridesRule) -> list[tuple[Decision, str]]:
    """Findings for suites of which more is overridden than may be, and for safety suites of which anything is."""
    found = []
    for suite in suites:
        score = suite.score
        if isinstance(suite.rule, SafetyRule) and score.asked != score.n:
            found.append((Decision.REJECT, f"{suite.what}: a safety suite excuses nothing"))
        elif not score.excused <= rule.max_share * score.asked:
            most = f"{rule.max_share:.0%} may be without a human"
            found.append((Decision.HOLD, f"{_overridden(score, suite.what)}, {most}: a human decides"))
    return found


def _remarks(suites: list[_Suite]) -> tuple[str, ...]:
    """Name the suites that protected nothing, and count what was overridden."""
    return (
        *(f"{_missing_skill(one)}: not counted" for one in suites if not one.is_sensitive and not one.is_required),
        *(f"{_overridden(one.score, one.what)}: not counted" for one in suites if one.score.excused),
    )


def _overridden(score: Measured, what: str) -> str:
    return f"{what}: the new documents override {score.excused} of {score.asked} answers"


def _missing_skill(suite: _Suite) -> str:
    right = round(suite.score.incumbent * suite.score.n)
    return f"{suite.what}: the incumbent does not show that skill ({right} of {suite.score.n})"


def _gain(what: str, card: Scorecard, rule: GainRule, *, confidence: float) -> list[tuple[Decision, str]]:
    score = card.confirm
    if flaw := _unusable(what, score, rule.min_items):
        return [flaw]
    assert isinstance(score, Measured)
    if not score.independent.n >= rule.min_items:
        return [(Decision.INCONCLUSIVE, f"{what}: {score.facts} facts in {score.n} questions, {rule.min_items} needed")]
    found = []
    chance = gain_shown(score.independent.better, score.independent.worse)
    if not (score.gain_low > rule.min_gain_low and chance <= 1 - confidence):
        found.append(
            (Decision.REJECT, f"{what}: gain {_interval(score)} may be chance, above {rule.min_gain_low:.2f} needed")
        )
    needed, why = _needed_share(card.open_book, rule)
    if not score.candidate >= needed:
        found.append((Decision.REJECT, f"{what}: {score.candidate:.2f} right, {needed:.2f} needed{why}"))
    return found


def _needed_share(open_book: float | None, rule: GainRule) -> tuple[float, str]:
    """Return the share that must be right, and how it follows from the open-book share if that was measured."""
    if open_book is None or not 0 <= open_book <= 1:
        return rule.min_share, ""
    share = rule.min_share_of_open_book
    return share * open_book, f", {share:.0%} of the {open_book:.2f} that the base has with the passage at hand"


def _losses(suites: list[_Suite]) -> list[tuple[Decision, str]]:
    """One finding for each suite that does not pass; the chance of refusing for nothing is shared over all suites.

    Whoever hardly has a skill can be shown to lose it, but not to keep it.
    """
    shown = holm([loss_shown(s.score.better, s.score.worse, n=s.score.n, margin=s.rule.margin) for s in suites])
    found = []
    for suite, shown_p in zip(suites, shown, strict=True):
        outcome = judge_loss(excluded_p=_excluded(suite), shown_p=shown_p, alpha=suite.rule.alpha)
        lost, margin = f"{suite.what}: lost {_interval(suite.score)}", f"{suite.rule.margin:.2f}"
        if outcome is Outcome.FAIL:
            found.append((Decision.REJECT, f"{lost}, more than {margin} is not accepted"))
        elif outcome is Outcome.INCONCLUSIVE and suite.is_sensitive:
            found.append((Decision.HOLD, f"{lost}, a loss of {margin} cannot be excluded: a human decides"))
    return found


def _excluded(suite: _Suite) -> float:
    """A margin of 0 passes whoever is not seen to lose: that nothing at all is lost cannot be proved by counting."""
    score = suite.score
    if suite.rule.margin == 0:
        return 0.0 if score.better >= score.worse else 1.0
    return loss_excluded(score.better, score.worse, n=score.n, margin=suite.rule.margin)


def _flaw(what: str, score: Score | NotApplicable, rule: LossRule) -> tuple[Decision, str] | None:
    return None if isinstance(score, NotApplicable) else _unusable(what, score, rule.min_items)


def _unusable(what: str, score: Score, min_items: int) -> tuple[Decision, str] | None:
    if isinstance(score, Unmeasured):
        return Decision.INCONCLUSIVE, f"{what}: not measured: {score.why}"
    if not (score.n > 0 and score.asked >= min_items):
        return Decision.INCONCLUSIVE, f"{what}: {score.n} questions, {min_items} needed"
    if not _adds_up(score):
        return Decision.REJECT, f"{what}: the score {_interval(score)} does not add up"
    return None


def _adds_up(score: Measured) -> bool:
    gain = (score.better - score.worse) / score.n
    return (
        min(score.better, score.worse, score.facts, score.facts_better, score.facts_worse) >= 0
        and min(score.n, score.excused, score.excused_before) >= 0
        and score.better + score.worse <= score.n
        and score.facts_better + score.facts_worse <= score.facts <= score.n
        and abs(score.gain - gain) < _ROUNDING
        and abs(score.candidate - score.incumbent - gain) < _ROUNDING
    )


def _praise(score: Score) -> str:
    if isinstance(score, Unmeasured):
        return "nothing measured"
    shares = f"{score.candidate:.2f} right where the incumbent has {score.incumbent:.2f}"
    return f"new documents: {shares}, gain {_interval(score)}"


def _interval(score: Measured) -> str:
    return f"{score.gain:+.2f} [{score.gain_low:+.2f}, {score.gain_high:+.2f}] on {score.n}"
