"""Constructs rewards by name."""

from sealserve.learning.evaluation.rewards.base import Kind, Reward
from sealserve.learning.evaluation.rewards.graded import RULES, GradedAnswers
from sealserve.learning.evaluation.rewards.likelihood import LogLikelihood
from sealserve.learning.evaluation.rewards.llm_judge import LlmJudge, SelfJudge
from sealserve.learning.evaluation.rewards.self_consistency import SelfConsistency
from sealserve.settings.learn import LearnSettings


def reward_by_name(kind: Kind, settings: LearnSettings) -> Reward:
    """Return the reward as the settings have it. Raises: BadConfig (no key for the endpoint)."""
    if kind in RULES:
        return GradedAnswers(kind)
    if kind is Kind.SELF_CONSISTENCY:
        return SelfConsistency(samples=settings.agreement_samples)
    if kind is Kind.SELF_JUDGE:
        return SelfJudge()
    if kind is Kind.LLM_JUDGE:
        return LlmJudge(
            url=settings.grader_url,
            model=settings.grader_model,
            key=settings.grader_key(),
            timeout_seconds=settings.grader_timeout_seconds,
            patience_seconds=settings.grader_patience_seconds,
        )
    return LogLikelihood()
