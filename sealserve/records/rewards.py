"""The rewards that candidates may be ranked by."""

from collections.abc import Mapping
from enum import StrEnum


class RewardKind(StrEnum):
    """What candidates may be ranked by, by name."""

    LIKELIHOOD = "likelihood"  # clipped log p of the right answer: one forward pass, no generation
    EXACT = "exact"  # the greedy answer equals the right one
    F1 = "f1"  # token overlap of the greedy answer with the right one
    CONTAINS = "contains"  # the greedy answer states the right one
    REGEX = "regex"  # the greedy answer is right by the item's own rule
    SELF_CONSISTENCY = "self_consistency"  # agreement of sampled answers; needs no right answer
    SELF_JUDGE = "self_judge"  # the base model judges the greedy answer
    LLM_JUDGE = "llm_judge"  # a judge behind an OpenAI-compatible endpoint
    FEEDBACK = "feedback"  # right answers to what people corrected


EARLIER_NAMES: Mapping[str, RewardKind] = {
    "agreement": RewardKind.SELF_CONSISTENCY,
    "grader": RewardKind.SELF_JUDGE,
    "endpoint": RewardKind.LLM_JUDGE,
}
"""Names that rewards had in earlier releases. Stored lineage may still use them; settings may not."""


def is_reward(name: str, kind: RewardKind) -> bool:
    """Return whether the stored reward `name`, such as "self_consistency:4", is of that kind."""
    stem = name.partition(":")[0]
    return EARLIER_NAMES.get(stem, stem) == kind
