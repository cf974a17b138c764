"""From scorecard and policy to a verdict. Pure, and fail-closed: only evidence promotes.

Every comparison is written so that a value that is not a number speaks against the candidate. REJECT outranks
INCONCLUSIVE, which outranks HOLD: what is known to be bad stays bad whatever else could not be measured.
"""

from sealserve.gate.policy import GainRule, LossRule, Policy
from sealserve.records import Decision, Measured, NotApplicable, Score, Scorecard, Unmeasured, Verdict

_RANK = (Decision.REJECT, Decision.INCONCLUSIVE, Decision.HOLD)


def judge(card: Scorecard, policy: Policy) -> Verdict:
    """Return the decision and every reason for it; PROMOTE only when no rule speaks against."""
    findings = [
        *_gain("new documents", card.confirm, policy.confirm),
        *_loss("documents learned earlier", card.replay, policy.replay),
        *_loss("old skills", card.canary, policy.canary),
        *_loss("saying 'I don't know'", card.unknown, policy.unknown),
    ]
    decision = next((rank for rank in _RANK if any(found == rank for found, _ in findings)), Decision.PROMOTE)
    against = tuple(reason for _, reason in findings)
    return Verdict(
        decision=decision,
        reasons=against or (_praise(card.confirm),),
        policy=policy.name,
        policy_digest=policy.digest,
    )


def _gain(what: str, score: Score, rule: GainRule) -> list[tuple[Decision, str]]:
    if isinstance(score, Unmeasured):
        return [(Decision.INCONCLUSIVE, f"{what}: not measured: {score.why}")]
    if not score.n >= rule.min_items:
        return [(Decision.INCONCLUSIVE, f"{what}: {score.n} questions, {rule.min_items} needed")]
    found = []
    if not score.gain_low > rule.min_gain_low:
        found.append(
            (Decision.REJECT, f"{what}: gain {_interval(score)} may be chance, above {rule.min_gain_low:.2f} needed")
        )
    if not score.candidate >= rule.min_share:
        found.append((Decision.REJECT, f"{what}: {score.candidate:.2f} right, {rule.min_share:.2f} needed"))
    return found


def _loss(what: str, score: Score | NotApplicable, rule: LossRule) -> list[tuple[Decision, str]]:
    if isinstance(score, NotApplicable):
        return []
    if isinstance(score, Unmeasured):
        return [(Decision.INCONCLUSIVE, f"{what}: not measured: {score.why}")]
    if not score.n >= rule.min_items:
        return [(Decision.INCONCLUSIVE, f"{what}: {score.n} questions, {rule.min_items} needed")]
    if not -score.gain <= rule.reject_loss:
        return [(Decision.REJECT, f"{what}: lost {_interval(score)}, at most {rule.reject_loss:.2f} allowed")]
    if not -score.gain <= rule.hold_loss:
        return [(Decision.HOLD, f"{what}: lost {_interval(score)}, above {rule.hold_loss:.2f} a human decides")]
    return []


def _praise(score: Score) -> str:
    if isinstance(score, Unmeasured):
        return "nothing measured"
    shares = f"{score.candidate:.2f} right where the incumbent has {score.incumbent:.2f}"
    return f"new documents: {shares}, gain {_interval(score)}"


def _interval(score: Measured) -> str:
    return f"{score.gain:+.2f} [{score.gain_low:+.2f}, {score.gain_high:+.2f}] on {score.n}"
