"""JUDGE: the gate's verdict on a scorecard, made stricter by the written rules. Moves nothing."""

import asyncio
from dataclasses import asdict
from functools import partial

from sealserve.gate.verdict import judge
from sealserve.learning.context import LearnContext
from sealserve.learning.journal import Done
from sealserve.policy.enforcement import PolicyEnforcer, ruled
from sealserve.records.cycles import Claim
from sealserve.records.step_outputs import Claimed, Confirmed, Judged
from sealserve.registry.registry import AddPolicyDecisions


async def judge_winner(context: LearnContext, claim: Claim, claimed: Claimed, confirmed: Confirmed) -> Done[Judged]:
    """Return the verdict, and the policy decisions to record with it."""
    verdict = judge(confirmed.scorecard, context.policy)
    decide = partial(
        PolicyEnforcer(context.registry, context.rules).rule_winner,
        claim,
        incumbent=claimed.incumbent,
        verdict=verdict,
        scorecard=confirmed.scorecard,
        anomalies=asdict(confirmed.anomalies) if confirmed.anomalies else {},
    )
    decisions = await asyncio.to_thread(decide)
    return Done(output=Judged(verdict=ruled(verdict, decisions)), effects=(AddPolicyDecisions(rulings=decisions),))
