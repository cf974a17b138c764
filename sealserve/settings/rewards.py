"""The part of [learn] that says by what candidates are ranked. Read by `settings.py` alone."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sealserve.records.rewards import RewardKind


def from_text(value: Any) -> Any:
    """Read a table that came as text: an environment variable has no other form."""
    return json.loads(value) if isinstance(value, str) else value


class RewardSettings(BaseModel):
    """What candidates are ranked by, and how often each is trained to see what is chance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reward: RewardKind = Field(
        RewardKind.LIKELIHOOD,
        description="what ranks candidates: likelihood, exact, f1, contains, regex, agreement, grader, endpoint, "
        "or feedback",
    )
    tenant_rewards: Annotated[dict[str, RewardKind], BeforeValidator(from_text)] = Field(
        {}, description="a reward of their own for tenants named here"
    )
    seeds: int = Field(1, ge=1, le=8, description="times each recipe is trained; from 2 the reward's reliability shows")
    agreement_samples: int = Field(4, ge=2, le=16, description="answers sampled per question by reward agreement")
    agreement_rounds: int = Field(
        2, ge=1, le=10, description="versions in a row that agreement may choose; then known answers must choose one"
    )
    grader_url: str = Field("", description="OpenAI-compatible endpoint of reward endpoint, with its path: …/v1")
    grader_model: str = Field("", description="model asked there")
    grader_key_variable: str = Field("", description="environment variable that holds its API key; empty: none")
    grader_timeout_seconds: float = Field(60, gt=0, description="one request to grader_url")
    grader_patience_seconds: float = Field(120, gt=0, description="how long a grader_url that fails is asked again")

    @model_validator(mode="after")
    def _grader_is_whole(self) -> "RewardSettings":
        wanted = RewardKind.ENDPOINT in (self.reward, *self.tenant_rewards.values())
        if wanted and not (self.grader_url.startswith(("http://", "https://")) and self.grader_model):
            raise ValueError("reward endpoint needs learn.grader_url (http:// or https://) and learn.grader_model")
        return self

    def reward_of(self, tenant: str) -> RewardKind:
        """Return what ranks the tenant's candidates."""
        return self.tenant_rewards.get(tenant, self.reward)
