"""Constructs rewards by name."""

from sealserve.learning.evaluation.rewards.base import Kind, Reward
from sealserve.learning.evaluation.rewards.graded import RULES, GradedAnswers
from sealserve.learning.evaluation.rewards.likelihood import LogLikelihood
from sealserve.learning.evaluation.rewards.llm_judge import LlmJudge, SelfJudge
from sealserve.learning.evaluation.rewards.self_consistency import SelfConsistency
from sealserve.settings.learn import RewardSettings


def reward_by_name(kind: Kind, settings: RewardSettings) -> Reward:
    """Return the reward as the settings have it. Raises: BadConfig (no key for the endpoint)."""
    if kind in RULES:
        return GradedAnswers(kind)
    if kind is Kind.SELF_CONSISTENCY:
        return SelfConsistency(samples=settings.consistency_samples)
    if kind is Kind.SELF_JUDGE:
        return SelfJudge()
    if kind is Kind.LLM_JUDGE:
        return LlmJudge(
            url=settings.judge_url,
            model=settings.judge_model,
            key=settings.judge_key(),
            timeout_seconds=settings.judge_timeout_seconds,
            patience_seconds=settings.judge_patience_seconds,
        )
    return LogLikelihood()
