"""From scorecard and policy to a verdict. Pure, and fail-closed: only evidence promotes.

Every comparison is written so that a value that is not a number speaks against the candidate. REJECT outranks
INCONCLUSIVE, which outranks HOLD: what is known to be bad stays bad whatever else could not be measured.
"""

from dataclasses import dataclass

from sealserve.gate.statistics import Outcome, holm, judge_loss, loss_excluded, loss_shown, mcnemar_exact
from sealserve.gate.thresholds import GainRule, LossRule, Policy, SafetyRule
from sealserve.records.scores import Decision, Measured, NotApplicable, Score, Scorecard, Unmeasured, Verdict

_RANK = (Decision.REJECT, Decision.INCONCLUSIVE, Decision.HOLD)
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suite:
    """One suite of old things that was measured well enough to be tested."""

    what: str
    score: Measured
    rule: LossRule


def judge(card: Scorecard, policy: Policy) -> Verdict:
    """Return the decision and every reason for it; PROMOTE only when no rule speaks against."""
    old: tuple[tuple[str, Score | NotApplicable, LossRule], ...] = (
        ("documents learned earlier", card.replay, policy.replay),
        ("old skills", card.canary, policy.canary),
        ("saying 'I don't know'", card.unknown, policy.unknown),
        *((f"canary suite {name}", score, policy.rule_of(name)) for name, score in sorted(card.suites.items())),
    )
    testable = [
        _Suite(what=what, score=score, rule=rule)
        for what, score, rule in old
        if isinstance(score, Measured) and not _flaw(what, score, rule)
    ]
    findings = [
        *_gain("new documents", card.confirm, policy.confirm, confidence=policy.confidence),
        *(found for what, score, rule in old if (found := _flaw(what, score, rule))),
        *_losses(testable),
        *_lost_safety(card, policy),
    ]
    decision = next((rank for rank in _RANK if any(found == rank for found, _ in findings)), Decision.PROMOTE)
    against = tuple(reason for _, reason in findings)
    return Verdict(
        decision=decision,
        reasons=against or (_praise(card.confirm),),
        policy=policy.name,
        policy_digest=policy.digest,
    )


def is_safety_lost(score: Measured, rule: SafetyRule) -> bool:
    """Return whether more answers were lost than the rule accepts: every item counts, not the balance."""
    return not score.worse <= rule.margin * score.n


def _lost_safety(card: Scorecard, policy: Policy) -> list[tuple[Decision, str]]:
    """One finding for a safety suite that lost more items than policy accepts."""
    return [
        (Decision.REJECT, f"canary suite {name}: {score.worse} answers lost, {rule.margin:.0%} may be")
        for name, score in sorted(card.suites.items())
        if isinstance(rule := policy.rule_of(name), SafetyRule)
        and isinstance(score, Measured)
        and is_safety_lost(score, rule)
    ]


def _gain(what: str, score: Score, rule: GainRule, *, confidence: float) -> list[tuple[Decision, str]]:
    if flaw := _unusable(what, score, rule.min_items):
        return [flaw]
    assert isinstance(score, Measured)
    found = []
    chance = mcnemar_exact(score.better, score.worse)
    if not (score.gain_low > rule.min_gain_low and chance <= 1 - confidence):
        found.append(
            (Decision.REJECT, f"{what}: gain {_interval(score)} may be chance, above {rule.min_gain_low:.2f} needed")
        )
    if not score.candidate >= rule.min_share:
        found.append((Decision.REJECT, f"{what}: {score.candidate:.2f} right, {rule.min_share:.2f} needed"))
    return found


def _losses(suites: list[_Suite]) -> list[tuple[Decision, str]]:
    """One finding for each suite that does not pass; the chance of refusing for nothing is shared over all suites."""
    shown = holm([loss_shown(s.score.better, s.score.worse, n=s.score.n, margin=s.rule.margin) for s in suites])
    found = []
    for suite, shown_p in zip(suites, shown, strict=True):
        outcome = judge_loss(excluded_p=_excluded(suite), shown_p=shown_p, alpha=suite.rule.alpha)
        lost, margin = f"{suite.what}: lost {_interval(suite.score)}", f"{suite.rule.margin:.2f}"
        if outcome is Outcome.FAIL:
            found.append((Decision.REJECT, f"{lost}, more than {margin} is not accepted"))
        elif outcome is Outcome.INCONCLUSIVE:
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
    if not score.n >= min_items:
        return Decision.INCONCLUSIVE, f"{what}: {score.n} questions, {min_items} needed"
    if not _adds_up(score):
        return Decision.REJECT, f"{what}: the score {_interval(score)} does not add up"
    return None


def _adds_up(score: Measured) -> bool:
    pairs = score.better >= 0 and score.worse >= 0 and score.better + score.worse <= score.n
    gain = (score.better - score.worse) / score.n
    return pairs and abs(score.gain - gain) < _ROUNDING and abs(score.candidate - score.incumbent - gain) < _ROUNDING


def _praise(score: Score) -> str:
    if isinstance(score, Unmeasured):
        return "nothing measured"
    shares = f"{score.candidate:.2f} right where the incumbent has {score.incumbent:.2f}"
    return f"new documents: {shares}, gain {_interval(score)}"


def _interval(score: Measured) -> str:
    return f"{score.gain:+.2f} [{score.gain_low:+.2f}, {score.gain_high:+.2f}] on {score.n}"
