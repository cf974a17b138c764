"""Have a cycle's self-edits collapsed? Pure, and fail-closed: what was not measured has."""

from sealserve.gate.thresholds import DiversityRule


def collapse(distinct: float | None, rule: DiversityRule) -> str:
    """Return why nothing may be trained on self-edits with this share of distinct pairs of words; "" if it may."""
    if distinct is None:
        return "the diversity of the self-edits was not measured"
    if not distinct >= rule.min_distinct:
        return (
            f"the self-edits say the same over and over: {distinct:.2f} of their pairs of words are distinct, "
            f"{rule.min_distinct:.2f} needed; look at them with cycle show --edits"
        )
    return ""
