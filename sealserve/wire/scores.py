"""Scorecards and verdicts."""

from sealserve.records.scores import Decision, Measured, NotApplicable, Score, Scorecard, Unmeasured, Verdict
from sealserve.v1 import scorecard_pb2
from sealserve.wire.enums import enum_from_wire, enum_to_wire

_DECISION = scorecard_pb2.DESCRIPTOR.enum_types_by_name["Decision"]


def scorecard_to_wire(card: Scorecard) -> scorecard_pb2.Scorecard:
    """Return the whole of `card`."""
    return scorecard_pb2.Scorecard(
        confirm=_score_to_wire(card.confirm),
        replay=_score_to_wire(card.replay),
        canary=_score_to_wire(card.canary),
        unknown=_score_to_wire(card.unknown),
        suites={name: _score_to_wire(score) for name, score in card.suites.items()},
        open_book=card.open_book,
    )


def scorecard_from_wire(wire: scorecard_pb2.Scorecard) -> Scorecard:
    """Return the whole of `wire`."""
    return Scorecard(
        confirm=_score_from_wire(wire.confirm),
        replay=_replay_from_wire(wire.replay),
        canary=_score_from_wire(wire.canary),
        unknown=_score_from_wire(wire.unknown),
        suites={name: _score_from_wire(score) for name, score in sorted(wire.suites.items())},
        open_book=wire.open_book if wire.HasField("open_book") else None,
    )


def _score_to_wire(score: Score | NotApplicable) -> scorecard_pb2.Score:
    if isinstance(score, NotApplicable):
        return scorecard_pb2.Score(not_applicable_reason=score.because)
    if isinstance(score, Unmeasured):
        return scorecard_pb2.Score(unmeasured_reason=score.why)
    return scorecard_pb2.Score(
        measured=scorecard_pb2.Measured(
            n=score.n,
            candidate=score.candidate,
            incumbent=score.incumbent,
            gain=score.gain,
            gain_low=score.gain_low,
            gain_high=score.gain_high,
            better=score.better,
            worse=score.worse,
            facts=score.facts,
            facts_better=score.facts_better,
            facts_worse=score.facts_worse,
            excused=score.excused,
            excused_before=score.excused_before,
        )
    )


def _replay_from_wire(wire: scorecard_pb2.Score) -> Score | NotApplicable:
    if wire.WhichOneof("result") == "not_applicable_reason":
        return NotApplicable(because=wire.not_applicable_reason)
    return _score_from_wire(wire)


def _score_from_wire(wire: scorecard_pb2.Score) -> Score:
    if wire.WhichOneof("result") != "measured":
        return Unmeasured(why=wire.unmeasured_reason or wire.not_applicable_reason)
    measured = wire.measured
    return Measured(
        n=measured.n,
        candidate=measured.candidate,
        incumbent=measured.incumbent,
        gain=measured.gain,
        gain_low=measured.gain_low,
        gain_high=measured.gain_high,
        better=measured.better,
        worse=measured.worse,
        facts=measured.facts,
        facts_better=measured.facts_better,
        facts_worse=measured.facts_worse,
        excused=measured.excused,
        excused_before=measured.excused_before,
    )


def verdict_to_wire(verdict: Verdict) -> scorecard_pb2.Verdict:
    """Return the whole of `verdict`."""
    return scorecard_pb2.Verdict(
        decision=enum_to_wire(verdict.decision, _DECISION),
        reasons=verdict.reasons,
        policy=verdict.policy,
        policy_digest=verdict.policy_digest,
    )


def verdict_from_wire(wire: scorecard_pb2.Verdict) -> Verdict:
    """A decision this client does not know reads as inconclusive."""
    return Verdict(
        decision=enum_from_wire(wire.decision, Decision, descriptor=_DECISION) or Decision.INCONCLUSIVE,
        reasons=tuple(wire.reasons),
        policy=wire.policy,
        policy_digest=wire.policy_digest,
    )
