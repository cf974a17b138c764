"""What the evidence of a watch says: go on, go back, or well done. Pure: counts in, a finding out.

The tests share `alpha` (Bonferroni), so that all of them together
ever take back a candidate that is no worse with chance at most `alpha`, looked at all the time; where outcomes come
independently at rates that last. Latency, silence and safety probes are no such tests: they have no level.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sealserve.gate.statistics import e_value, e_value_beside
from sealserve.gate.thresholds import BesideRule, RateRule, WatchRule
from sealserve.records.feedback import VersionFeedback
from sealserve.records.rollouts import Count, Signal, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvidence:
    """All that is known of one watch. Thumbs are None where a version got none."""

    counts: Mapping[Count, int] = field(default_factory=dict)
    candidate_thumbs: VersionFeedback | None = None
    incumbent_thumbs: VersionFeedback | None = None
    silent_seconds: float = 0.0  # since a call has ended, while nothing is recorded of any


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack:
    """Go back. `reason` has the numbers."""

    trigger: Trigger
    reason: str


def signals(evidence: WatchEvidence, rule: WatchRule) -> tuple[Signal, ...]:
    """Return every signal that is tested by an e-process, as it stands: its e-value times its share of `alpha`.

    Below a rule's `min_items` the e-value is still told; `judge_watch` does not act on it.
    """
    seen = {count: evidence.counts.get(count, 0) for count in Count}
    mine, theirs = evidence.candidate_thumbs, evidence.incumbent_thumbs
    return (
        _signal(Trigger.QUALITY, seen[Count.WORSE], seen[Count.WORSE] + seen[Count.BETTER], rule.quality),
        _signal_beside(
            Trigger.ERRORS, seen[Count.CANDIDATE_ERRORS], seen[Count.CANDIDATE_ANSWERS], rule.errors,
            beside=(seen[Count.INCUMBENT_ERRORS], seen[Count.INCUMBENT_ANSWERS]),
        ),
        _signal_beside(
            Trigger.DEGENERATE, seen[Count.CANDIDATE_DEGENERATE], seen[Count.CANDIDATE_ANSWERS], rule.degenerate,
            beside=(seen[Count.INCUMBENT_DEGENERATE], seen[Count.INCUMBENT_ANSWERS]),
        ),
        _signal(Trigger.DRIFT, seen[Count.IMPLAUSIBLE], seen[Count.LIKELIHOODS], rule.drift),
        _signal_beside(
            Trigger.FEEDBACK, mine.down if mine else 0, mine.up + mine.down if mine else 0, rule.feedback,
            beside=(theirs.down, theirs.up + theirs.down) if theirs else (0, 0),
        ),
    )  # fmt: skip


def judge_watch(evidence: WatchEvidence, rule: WatchRule) -> RollBack | None:
    """Return what takes the candidate back, or None while nothing does."""
    hits, slow = evidence.counts.get(Count.PROBE_HITS, 0), evidence.counts.get(Count.SLOW_WINDOWS, 0)
    if hits:
        return RollBack(trigger=Trigger.SAFETY, reason=f"{hits} safety probes answered as they never may be")
    for signal in signals(evidence, rule):
        least = _rule_of(signal.trigger, rule).min_items
        if signal.n >= least and signal.e_value >= 1 / rule.alpha:
            return RollBack(trigger=signal.trigger, reason=_words(signal, alpha=rule.alpha))
    if slow >= rule.latency.failure_limit:
        text = f"slower than {rule.latency.max_ratio} times the incumbent in {slow} windows in a row"
        return RollBack(trigger=Trigger.LATENCY, reason=text)
    if evidence.silent_seconds >= rule.silence_seconds:
        text = f"calls have ended, and nothing was recorded of them for {evidence.silent_seconds:.0f} s"
        return RollBack(trigger=Trigger.SILENCE, reason=text)
    return None


def next_stage(stage: int, pairs: int, rule: WatchRule) -> int:
    """Return the stage after `pairs` compared pairs: the next one if this one's are full, else the same.

    A stage that the policy no longer has is its last.
    """
    last = len(rule.stages) - 1
    if stage >= last:
        return last
    return stage + 1 if pairs >= rule.stages[stage].until_pairs else stage


def is_slower(candidate: Sequence[float], incumbent: Sequence[float], rule: WatchRule) -> bool | None:
    """Return whether the candidate's quantile is above `max_ratio` times the incumbent's; None with too few samples."""
    least = rule.latency.min_samples
    if min(len(candidate), len(incumbent)) < least:
        return None
    mine, theirs = (_quantile(samples, rule.latency.quantile) for samples in (candidate, incumbent))
    return mine > rule.latency.max_ratio * theirs


def _signal(trigger: Trigger, bad: int, n: int, rule: RateRule) -> Signal:
    found = rule.share * e_value(bad, n - bad, tolerated=rule.tolerated)
    return Signal(trigger=trigger, bad=bad, n=n, tolerated=rule.tolerated, e_value=found)


def _signal_beside(trigger: Trigger, bad: int, n: int, rule: BesideRule, *, beside: tuple[int, int]) -> Signal:
    """`beside`: the incumbent's (bad, n). What it may truly have is tolerated of the candidate, too.

    Until it has `min_items` of its own anything up to `assumed` may be: what fails more than that acts at once.
    """
    if not n:
        return Signal(trigger=trigger, bad=0, n=0, tolerated=rule.tolerated, e_value=rule.share)
    most = 1.0 if beside[1] >= rule.min_items else rule.assumed
    found, tolerated = e_value_beside(
        bad, n - bad, beside=(beside[0], beside[1] - beside[0]), tolerated=rule.tolerated, most=most
    )
    return Signal(trigger=trigger, bad=bad, n=n, tolerated=tolerated, e_value=rule.share * found)


def _rule_of(trigger: Trigger, rule: WatchRule) -> RateRule:
    found: RateRule = getattr(rule, trigger.value)
    return found


def _words(signal: Signal, *, alpha: float) -> str:
    what = {
        Trigger.QUALITY: "pairs that only one side answered well went to the incumbent",
        Trigger.ERRORS: "requests failed",
        Trigger.DEGENERATE: "answers were empty or a loop",
        Trigger.DRIFT: "of the incumbent's answers have become implausible",
        Trigger.FEEDBACK: "thumbs were down",
    }[signal.trigger]
    return (
        f"{signal.bad} of {signal.n} {what}, where {signal.tolerated:.2f} is tolerated: "
        f"e-value {signal.e_value:.1f}, limit {1 / alpha:.0f}"
    )


def _quantile(samples: Sequence[float], share: float) -> float:
    """The nearest-rank quantile."""
    ordered = sorted(samples)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
