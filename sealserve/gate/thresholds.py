"""The written thresholds: reads one YAML file of `policies/` into a frozen `Policy`.

Knows the shape of a policy, not what its numbers mean for a verdict (`verdict.py`). A file that cannot be read
in full is refused: there are no thresholds in code to fall back on.
"""

import hashlib
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sealserve.errors import BadConfig
from sealserve.grading.patterns import pattern_fault
from sealserve.packaged_policies import policy_directory
from sealserve.scanners.findings import Finding

_ROUNDING = 1e-9


class Rule(BaseModel):
    """A group of thresholds. Frozen; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GainRule(Rule):
    """What the winner has to show on the questions of the new documents."""

    min_items: int = Field(ge=1)
    min_gain_low: float = Field(ge=-1, le=1)
    min_share: float = Field(ge=0, le=1)
    min_share_of_open_book: float = Field(ge=0, le=1)


class LossRule(Rule):
    """How sure it has to be that nothing old was lost against the incumbent."""

    min_items: int = Field(ge=1)
    margin: float = Field(ge=0, lt=1)
    alpha: float = Field(gt=0, lt=0.5)


class SkillRule(LossRule):
    """The same, for an old skill. An incumbent with a smaller share right does not show it: nothing is protected."""

    min_incumbent_share: float = Field(ge=0, le=1)


class SuitesRule(SkillRule):
    """The same, for each canary suite."""

    min_judge_share: float = Field(gt=0.5, le=1)


class SafetyRule(SkillRule):
    """The same, for the suites named here: in them every lost answer counts, whatever else was gained.

    One of `required` that the incumbent does not pass holds every candidate; any other is named and not counted.
    """

    suites: tuple[str, ...]
    required: tuple[str, ...]


class OverridesRule(Rule):
    """Which share of a suite the documents of one cycle may override without a human."""

    max_share: float = Field(ge=0, le=1)


class DiversityRule(Rule):
    """How much a cycle's self-edits may repeat themselves before nothing is trained on them."""

    min_distinct: float = Field(ge=0, le=1)


class StageRule(Rule):
    """A part of the way to full traffic: it ends when `until_pairs` pairs have been compared since the watch began."""

    traffic: float = Field(ge=0, le=1)
    shadow: float = Field(ge=0, le=1)
    until_pairs: int = Field(0, ge=0)


class RateRule(Rule):
    """What share of bad outcomes is tolerated, and how many there must be before anything is concluded.

    `share` is the test's part of the watch's `alpha`.
    """

    tolerated: float = Field(gt=0, lt=1)
    min_items: int = Field(ge=1)
    share: float = Field(gt=0, lt=1)


class BesideRule(RateRule):
    """The same, and no more than the incumbent has; of one with fewer than `min_items` outcomes `assumed` is taken."""

    assumed: float = Field(gt=0, lt=1)


class DriftRule(RateRule):
    """An answer of the incumbent is implausible when it has lost more than `max_drop` nats a token on average."""

    max_drop: float = Field(gt=0)


class LatencyRule(Rule):
    """When the candidate is too slow: both sides' `quantile` compared in each window."""

    quantile: float = Field(gt=0, lt=1)
    max_ratio: float = Field(gt=1)
    min_samples: int = Field(ge=2)
    window_seconds: float = Field(gt=0)
    failure_limit: int = Field(ge=1)


class ProbeRule(Rule):
    """A question, and the pattern that no answer to it may ever show."""

    ask: str = Field(min_length=1)
    never: str

    @field_validator("never")
    @classmethod
    def _is_safe(cls, pattern: str) -> str:
        if fault := pattern_fault(pattern):
            raise ValueError(fault)
        return pattern


class WatchRule(Rule):
    """What is looked at after a promotion, and what takes it back."""

    enabled: bool
    stages: tuple[StageRule, ...] = Field(min_length=1)
    max_seconds: float = Field(gt=0)
    silence_seconds: float = Field(gt=0)
    max_tokens: int = Field(ge=1)
    max_per_key: int = Field(ge=1)
    alpha: float = Field(gt=0, lt=0.5)
    quality: RateRule
    errors: BesideRule
    degenerate: BesideRule
    drift: DriftRule
    feedback: BesideRule
    latency: LatencyRule
    probes: tuple[ProbeRule, ...]

    @model_validator(mode="after")
    def _shares_are_one(self) -> Self:
        tests = (self.quality, self.errors, self.degenerate, self.drift, self.feedback)
        if sum(test.share for test in tests) > 1 + _ROUNDING:
            raise ValueError("the tests' shares of alpha are more than 1 together")
        return self

    @model_validator(mode="after")
    def _leads_to_full_traffic(self) -> Self:
        shares = [stage.traffic for stage in self.stages]
        if shares != sorted(shares) or shares[-1] != 1:
            raise ValueError("the stages' traffic may only grow, and the last one's is 1")
        if any(not stage.until_pairs or not stage.shadow for stage in self.stages[:-1]):
            raise ValueError("every stage but the last needs shadow and until_pairs: it would never end")
        return self


class EditorRule(Rule):
    """What a round needs, what all rounds of a tenant may cost, and when another is not worth it; 0: no bound."""

    min_documents: int = Field(ge=2)
    max_device_seconds: float = Field(ge=0)
    max_tokens: int = Field(ge=0)
    max_candidates: int = Field(ge=0)
    dip: float = Field(ge=0, lt=1)


class InfluenceRule(Rule):
    """How much one source may bring about, and what no self-edit may hold."""

    max_share: float = Field(gt=0, le=1)
    agreeing: int = Field(ge=2)
    refused: tuple[Finding, ...]


class ResidencyRule(Rule):
    """Which tenants' versions stay loaded on every server, whoever else is asked for."""

    tenants: tuple[str, ...] = ()


class Policy(Rule):
    """One rule set. `digest` is the sha256 of the file's bytes: verdicts carry it."""

    name: str = Field(min_length=1)
    confidence: float = Field(gt=0.5, lt=1)
    diversity: DiversityRule
    influence: InfluenceRule
    confirm: GainRule
    replay: LossRule
    canary: SkillRule
    unknown: SkillRule
    suites: SuitesRule
    safety: SafetyRule
    overrides: OverridesRule = OverridesRule(max_share=0)  # a file without this key lets a human decide
    editor: EditorRule
    watch: WatchRule
    residency: ResidencyRule = ResidencyRule()
    digest: str = Field(pattern="^[0-9a-f]{64}$")

    def rule_of(self, suite: str) -> SkillRule:
        """Return the rule of a canary suite, "name@revision"; a SafetyRule where every answer counts."""
        return self.safety if suite.partition("@")[0] in self.safety.suites else self.suites


def load_policy(path: Path | None = None) -> Policy:
    """Return the policy of `path`, or the packaged default. Raises: BadConfig, naming the file and every wrong key."""
    source = path or default_policy_path()
    try:
        content = source.read_bytes()
        tree = yaml.safe_load(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadConfig(f"{source}: cannot be read as a policy: {error}") from error
    if not isinstance(tree, dict) or "digest" in tree:
        raise BadConfig(f"{source}: a policy is a YAML mapping, and its digest is computed, not written")
    try:
        return Policy.model_validate({**tree, "digest": hashlib.sha256(content).hexdigest()})
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'policy'}: {e['msg']}" for e in error.errors()]
        raise BadConfig(f"{source}: " + "; ".join(lines)) from error


def default_policy_path() -> Path:
    """Return where `default.yaml` is. Raises: BadConfig when the installation lacks it."""
    return policy_directory() / "default.yaml"
