"""The rewards that candidates may be ranked by."""

from enum import StrEnum


class RewardKind(StrEnum):
    """What candidates may be ranked by, by name."""

    LIKELIHOOD = "likelihood"  # clipped log p of the right answer: one forward pass, no generation
    EXACT = "exact"  # the greedy answer is the right one and nothing else
    F1 = "f1"  # the words that the greedy answer shares with the right one
    CONTAINS = "contains"  # the greedy answer states the right one
    REGEX = "regex"  # the greedy answer is right by the item's own rule
    AGREEMENT = "agreement"  # how far sampled answers agree; needs no right answer
    GRADER = "grader"  # the base model judges the greedy answer
    ENDPOINT = "endpoint"  # a judge behind an OpenAI-compatible endpoint
    FEEDBACK = "feedback"  # right answers to what people corrected
