"""Settings of learning."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from sealserve.prompts import free_recipe_fault
from sealserve.settings.rewards import RewardSettings
from sealserve.settings.section import Section, from_text, read_secret


class LearnSettings(RewardSettings, Section):
    """[learn]: the learning cycle."""

    engine_address: str = Field("", description="EngineService to write and measure with; empty: serve.address")
    gather_seconds: float = Field(2, gt=0, description="how often admitted documents are gathered into cycles")
    nightly: str = Field("0 3 * * *", description="cron line of the nightly evaluation (UTC)")
    max_documents_per_cycle: int = Field(4, ge=1, description="documents one cycle learns at once")
    max_passages_per_cycle: int = Field(64, ge=1, le=999, description="passages one cycle studies; others are left out")
    max_attempts: int = Field(5, ge=1, description="claims without a finished step after which a cycle fails")
    workers: int = Field(1, ge=1, description="cycles this process runs at once")
    concurrency: int = Field(48, ge=1, description="engine calls one cycle has in flight")
    edits_per_template: int = Field(1, ge=1, description="self-edits sampled per passage and template other than QA")
    qa_edits: int = Field(6, ge=1, description="question-answer self-edits sampled per passage: they teach most")
    edit_temperature: float = Field(0.8, ge=0, le=2, description="sampling temperature of self-edits")
    edit_max_tokens: int = Field(600, ge=16, description="longest self-edit; at most half of the model's context")
    editor: Literal["trained", "tenant", "base", "endpoint"] = Field(
        "trained",
        description="who writes self-edits: trained: the tenant's promoted editor, the base until there is one; "
        "tenant: its active model; base; endpoint: the teacher of editor_url",
    )
    editor_url: str = Field("", description="OpenAI-compatible API for editor = endpoint, up to /v1; it sees documents")
    editor_model: str = Field("", description="model that editor_url is asked for")
    editor_key_variable: str = Field("", description="environment variable that holds the API key of editor_url")
    editor_timeout_seconds: float = Field(120, gt=0, description="an answer of editor_url takes at most this long")
    editor_patience_seconds: float = Field(
        600, ge=0, description="an editor_url that is away is waited for this long; then the cycle is inconclusive"
    )
    free_recipe: str = Field("", description="one more way to study, in words: asked of the editor for every passage")
    tenant_recipes: Annotated[dict[str, str], BeforeValidator(from_text)] = Field(
        {}, description="a free_recipe of their own for tenants named here"
    )
    quiz_edits: int = Field(8, ge=1, description="question-answer samples per passage that quiz questions come from")
    max_quiz_items: int = Field(64, ge=2, description="quiz questions per document")
    quiz_samples: int = Field(2, ge=1, description="open-book samples that must agree on an answer")
    candidates: int = Field(3, ge=1, description="adapters trained per cycle")
    full_candidates: int = Field(
        4,
        ge=1,
        description="of more recipes than this, only so many are trained in full: the best after a short training",
    )
    targets: Annotated[tuple[Literal["likelihood", "distillation"], ...], BeforeValidator(from_text)] = Field(
        ("likelihood",),
        min_length=1,
        description="what candidates are trained towards, in turn: likelihood of the "
        "notes, distillation from the model with the passage open, or both",
    )
    update: Literal["rebuild", "continue"] = Field(
        "rebuild", description="start from the base on all that was learned, or from the active adapter"
    )
    replay_examples: int = Field(
        4096, ge=0, description="examples of earlier documents replayed at most, in equal parts"
    )
    rank: int = Field(8, ge=1, description="LoRA rank")
    alpha: int = Field(16, ge=1, description="LoRA alpha; scaling is alpha / rank")
    learning_rate: float = Field(3e-3, gt=0, description="AdamW learning rate of the first candidate")
    epochs: int = Field(20, ge=1, description="times a candidate sees each new example, up to max_steps")
    max_steps: int = Field(140, ge=1, description="optimizer steps per candidate for one document; several take longer")
    batch_size: int = Field(12, ge=1, description="sequences per optimizer step")
    rehearsal: float = Field(0.45, ge=0, lt=1, description="share of sequences that keep base skills, not documents")
    executor: Literal["process", "ray"] = Field(
        "process",
        description="where candidates are trained: process: on the machine of learn; ray: in a Ray cluster",
    )
    ray_address: str = Field("auto", description="Ray cluster of executor = ray; auto: the one of this machine's node")
    trainer_processes: int = Field(
        0,
        ge=0,
        description="candidates trained at once, a copy of the base each; "
        "0: one a core for a base below 100 MB on CPU, else one",
    )
    threads: int = Field(0, ge=0, description="CPU threads of all trainer children together; 0: all cores")
    devices: str = Field(
        "",
        description="CUDA_VISIBLE_DEVICES of the trainer child; spare: one that is neither the first, which serves, "
        "nor trained on, held by a lease; cpu: none; empty: inherited, or one that Ray gives",
    )
    niceness: int = Field(5, ge=0, le=19, description="niceness of the trainer child, so that serving stays quick")
    trainer_timeout_seconds: float = Field(1800, gt=0, description="a trainer child older than this is killed")
    policy: Path | None = Field(None, description="policy file; unset: the packaged policies/default.yaml")
    rules: Path | None = Field(None, description="folder with rules/ and tests/rules/; unset: the packaged policies")
    editor_rounds: str = Field("", description="cron line of the editor's rounds (UTC), e.g. 0 4 * * 0; empty: off")
    editor_documents: int = Field(40, ge=4, description="newest learned documents in a round; half of them judge it")
    editor_samples: int = Field(5, ge=2, description="sets of self-edits tried per document in a round")
    editor_trial_steps: int = Field(80, ge=1, description="optimizer steps of a round's short adapters")
    editor_learning_rate: float = Field(
        2e-3, gt=0, description="AdamW learning rate of the editor; for a model of 7B SEAL has 3e-4"
    )
    editor_epochs: int = Field(8, ge=1, description="times an editor sees each winning self-edit; SEAL has 2")
    editor_recipes: int = Field(0, ge=0, description="recipes of the archive tried per round")

    @model_validator(mode="after")
    def _editor_is_whole(self) -> "LearnSettings":
        if self.editor == "endpoint" and not (
            self.editor_url.startswith(("http://", "https://")) and self.editor_model
        ):
            raise ValueError(
                "learn.editor = endpoint needs learn.editor_url (http:// or https://) and learn.editor_model"
            )
        for text in filter(None, (self.free_recipe, *self.tenant_recipes.values())):
            if fault := free_recipe_fault(text):
                raise ValueError(f"a free recipe {fault}: {text[:40]!r}")
        return self

    @model_validator(mode="after")
    def _executor_fits(self) -> "LearnSettings":
        if self.executor == "ray" and self.devices not in ("", "cpu"):
            raise ValueError(
                "learn.devices names a device, but with learn.executor = ray Ray gives them: leave it empty"
            )
        return self

    def recipe_of(self, tenant: str) -> str:
        """Return the tenant's free recipe; "" without one."""
        return self.tenant_recipes.get(tenant, self.free_recipe)

    def editor_key(self) -> str:
        """Return the API key of editor_url; "" when none is named. Raises: BadConfig (the variable is empty)."""
        return read_secret("learn.editor_key_variable", self.editor_key_variable)

    def grader_key(self) -> str:
        """Return the API key of grader_url, as `editor_key`."""
        return read_secret("learn.grader_key_variable", self.grader_key_variable)
