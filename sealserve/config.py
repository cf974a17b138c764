"""Settings: one TOML file, a few environment overrides, nothing else. The only reader of either.

Unknown keys and combinations that cannot work fail at load, by name. `SEALSERVE_<SECTION>__<KEY>` and
`SEALSERVE_DATA_DIRECTORY` override a value (an empty one counts as not set); `SEALSERVE_CONFIG` names the file.
"""

import hashlib
import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from sealserve.errors import BadConfig
from sealserve.listener_settings import ListenerSettings
from sealserve.network import is_loopback
from sealserve.prompts import free_recipe_fault
from sealserve.reward_settings import RewardSettings
from sealserve.web_settings import PageSettings

MAX_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The values that vLLM 0.32 accepts for max_lora_rank."""


class Section(BaseModel):
    """A table of the file. Frozen; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServeSettings(ListenerSettings, Section):
    """[serve]: the listener and its bounds."""

    max_message_bytes: int = Field(8 * 2**20, ge=2**16, description="largest gRPC message, in bytes")
    max_concurrent_requests: int = Field(64, ge=1, description="generate calls in flight over all tenants")
    max_queued_per_tenant: int = Field(32, ge=1, description="generate calls one tenant may have waiting")
    default_deadline_seconds: float = Field(60, gt=0, description="deadline of a call that brings none")
    drain_seconds: float = Field(10, ge=0, description="time for running calls to end at shutdown")
    poll_seconds: float = Field(0.25, gt=0, description="how often the registry is asked for new activations")
    rollback_window_seconds: float = Field(3600, ge=0, description="how long the previous version stays loaded")
    replica: str = Field("replica-1", description="this server's name in the observed table")
    answer_days: float = Field(
        30,
        ge=0,
        description="how long it is kept which version gave which answer; 0: never, and no watch counts thumbs",
    )


class EngineSettings(Section):
    """[engine]: the model and how vLLM runs it."""

    model: str = Field("nano", description="'nano' (embedded) or a Hugging Face causal LM: name or directory")
    dtype: str = Field("auto", description="auto, bfloat16, float16 or float32")
    max_context_tokens: int | None = Field(None, ge=64, description="context limit; the model's own if unset")
    slots: int = Field(4, ge=1, description="adapters that can share one batch (vLLM max_loras)")
    loaded_adapters: int = Field(64, ge=1, description="adapters kept in CPU memory (vLLM max_cpu_loras)")
    max_rank: int = Field(32, description="largest LoRA rank accepted")
    kv_cache_gib: float = Field(0.5, gt=0, description="KV cache on CPU, in GiB")
    gpu_memory_fraction: float = Field(0.85, gt=0, le=1, description="share of GPU memory vLLM may take")
    max_sequences: int = Field(64, ge=1, description="sequences in one batch")
    canary_seconds: float = Field(20, gt=0, description="time between the supervisor's test generations")
    canary_deadline_seconds: float = Field(30, gt=0, description="a test generation slower than this is a hang")
    threads: int = Field(0, ge=0, description="CPU threads of the engine; 0: all cores")

    @model_validator(mode="after")
    def _slots_fit(self) -> "EngineSettings":
        if self.max_rank not in MAX_RANKS:
            raise ValueError(f"engine.max_rank must be one of {MAX_RANKS}, not {self.max_rank}")
        if self.loaded_adapters < self.slots:
            raise ValueError("engine.loaded_adapters must be at least engine.slots")
        return self


class RegistrySettings(Section):
    """[registry]: where truth is kept."""

    url: str = Field("", description="SQLAlchemy URL; empty: SQLite in the data directory")
    lease_seconds: float = Field(30, gt=1, description="a worker silent for this long loses its cycle")


class IntakeSettings(Section):
    """[intake]: what may come in."""

    watch_directory: Path | None = Field(None, description="<directory>/<tenant>/*.md|txt|html|pdf is learned")
    max_document_bytes: int = Field(2 * 2**20, ge=1, description="largest document, in bytes")
    max_documents_per_tenant: int = Field(100_000, ge=1, description="documents one tenant may keep")


def _from_text(value: Any) -> Any:
    """Read a list or a table that came as text: an environment variable has no other form."""
    return json.loads(value) if isinstance(value, str) else value


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
    tenant_recipes: Annotated[dict[str, str], BeforeValidator(_from_text)] = Field(
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
    targets: Annotated[tuple[Literal["likelihood", "distillation"], ...], BeforeValidator(_from_text)] = Field(
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
        return _secret("learn.editor_key_variable", self.editor_key_variable)

    def grader_key(self) -> str:
        """Return the API key of grader_url, as `editor_key`."""
        return _secret("learn.grader_key_variable", self.grader_key_variable)


class WebSettings(PageSettings, Section):
    """[web]: the page for approvals."""


class TelemetrySettings(Section):
    """[telemetry]: traces, metrics, logs."""

    otlp_endpoint: str = Field("", description="OTLP gRPC receiver, for example http://localhost:4317; empty: off")
    log_format: str = Field("json", pattern="^(json|console)$", description="json or console")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug … error")
    metric_interval_seconds: float = Field(10, gt=0, description="time between metric exports")


class Settings(Section):
    """The whole file."""

    data_directory: Path = Field(Path("sealserve-data"), description="database, artifacts, caches")
    serve: ServeSettings = ServeSettings()
    engine: EngineSettings = EngineSettings()
    registry: RegistrySettings = RegistrySettings()
    intake: IntakeSettings = IntakeSettings()
    learn: LearnSettings = LearnSettings()
    web: WebSettings = WebSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @model_validator(mode="after")
    def _rank_fits(self) -> "Settings":
        if self.learn.rank > self.engine.max_rank:
            raise ValueError(f"learn.rank {self.learn.rank} is above engine.max_rank {self.engine.max_rank}")
        return self

    @model_validator(mode="after")
    def _page_asks_who_comes(self) -> "Settings":
        if self.serve.auth == "off" and not self.web.is_off and not is_loopback(self.web.address):
            raise ValueError(f"serve.auth = off is for loopback only, and web.address is {self.web.address}")
        return self

    @property
    def registry_url(self) -> str:
        """The database URL, with the default filled in."""
        return self.registry.url or f"sqlite:///{self.data_directory.absolute() / 'registry.db'}"

    @property
    def artifact_directory(self) -> Path:
        """Where artifacts are kept by digest."""
        return self.data_directory.absolute() / "artifacts"

    def digest(self) -> str:
        """Return the sha256 of the resolved settings; stored with each candidate."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def as_environment(self) -> dict[str, str]:
        """Return these settings as environment variables: `load_settings()` under them gives the same settings."""
        tree = self.model_dump(mode="json")
        flat = {"SEALSERVE_CONFIG": "", "SEALSERVE_DATA_DIRECTORY": str(self.data_directory)}
        for section, values in tree.items():
            if isinstance(values, dict):
                entries = {f"SEALSERVE_{section}__{key}".upper(): value for key, value in values.items()}
                flat |= {name: _as_text(value) for name, value in entries.items() if value is not None}
        return flat


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def load_settings(path: Path | None = None, *, overrides: dict[str, Any] | None = None) -> Settings:
    """Return the settings of `path` (or SEALSERVE_CONFIG, or the defaults), environment and `overrides` on top.

    `overrides` uses dotted keys ("serve.address"). Raises: BadConfig, naming the file and every wrong key.
    """
    named = path or (Path(os.environ["SEALSERVE_CONFIG"]) if os.environ.get("SEALSERVE_CONFIG") else None)
    tree = _read(named) if named else {}
    for key, value in {**_environment(), **(overrides or {})}.items():
        _put(tree, key.split("."), value)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        where = str(named) if named else "settings"
        lines = [f"{'.'.join(map(str, e['loc'])) or 'combination'}: {e['msg']}" for e in error.errors()]
        raise BadConfig(f"{where}: " + "; ".join(lines)) from error


def _secret(setting: str, variable: str) -> str:
    key = os.environ.get(variable, "") if variable else ""
    if variable and not key:
        raise BadConfig(f"{setting}: the environment variable {variable} is not set")
    return key


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadConfig(f"{path}: no such settings file; check --config or SEALSERVE_CONFIG") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadConfig(f"{path}: cannot be read as TOML: {error}") from error


def _environment() -> dict[str, str]:
    prefix = "SEALSERVE_"
    keys = [key for key in os.environ if key == f"{prefix}DATA_DIRECTORY" or (key.startswith(prefix) and "__" in key)]
    return {key.removeprefix(prefix).lower().replace("__", "."): os.environ[key] for key in keys if os.environ[key]}


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    *sections, key = path
    for part in sections:
        inner = tree.setdefault(part, {})
        if not isinstance(inner, dict):
            raise BadConfig(f"{'.'.join(path)}: {part} is a value, not a section; check the file and the environment")
        tree = inner
    tree[key] = value
