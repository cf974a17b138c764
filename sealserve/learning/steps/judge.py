"""JUDGE: the gate's verdict on the scorecard. Policy rules can only make it stricter. Promotes nothing."""

import asyncio
from dataclasses import asdict
from functools import partial

from sealserve.gate.verdict import judge
from sealserve.learning.cycle_run import CycleRun
from sealserve.learning.journal import Done
from sealserve.policy.enforcement import PolicyEnforcer, ruled
from sealserve.records.step_outputs import Judged
from sealserve.registry.registry import AddPolicyDecisions


async def judge_winner(run: CycleRun) -> Done[Judged]:
    """JUDGE: record the verdict and the policy decisions behind it."""
    confirmed = run.confirmed
    verdict = judge(confirmed.scorecard, run.context.policy)
    decide = partial(
        PolicyEnforcer(run.context.registry, run.context.rules).rule_winner,
        run.claim,
        incumbent=run.claimed.incumbent,
        verdict=verdict,
        scorecard=confirmed.scorecard,
        anomalies=asdict(confirmed.anomalies) if confirmed.anomalies else {},
    )
    decisions = await asyncio.to_thread(decide)
    return Done(output=Judged(verdict=ruled(verdict, decisions)), effects=(AddPolicyDecisions(rulings=decisions),))
