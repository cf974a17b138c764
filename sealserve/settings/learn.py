"""The section [learn] and its tables: the learning cycle, from study to the choice of a candidate."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from sealserve.errors import BadConfig
from sealserve.prompts import free_recipe_fault
from sealserve.records.rewards import RewardKind
from sealserve.settings.cron import parse_cron
from sealserve.settings.section import Section, from_text, is_http_url, nested, read_secret


def _cron(line: str) -> str:
    parse_cron(line)
    return line


def _cron_or_none(line: str) -> str:
    return line and _cron(line)


class StudySettings(Section):
    """[learn.study]: which text is studied, and how self-edits are sampled."""

    max_passages_per_cycle: int = Field(
        64, ge=1, le=999, description="passages that one cycle studies at most; further passages are left out"
    )
    passage_tokens: int = Field(
        512, ge=32, description="longest passage that is studied at once, in tokens; never more than fits the context"
    )
    pool_bytes: int = Field(
        0,
        ge=0,
        description="a tenant's documents wait until they have so many bytes together: a few lines alone give too few "
        "questions to be measured; `sealserve cycle start` does not wait",
    )
    questions_per_sentence: int = Field(
        8, ge=1, description="questions sampled per sentence, of a base model other than the embedded one"
    )
    edits_per_template: int = Field(
        1, ge=0, description="self-edits sampled per passage and template, question-answer excepted (see qa_edits)"
    )
    qa_edits: int = Field(
        6, ge=1, description="question-answer self-edits sampled per passage; this template teaches most"
    )
    edit_temperature: float = Field(0.8, ge=0, le=2, description="sampling temperature of self-edits; 0: greedy")
    edit_max_tokens: int = Field(
        600, ge=16, description="longest self-edit, in tokens; never more than half of the model's context"
    )
    editor: Literal["trained", "tenant", "base", "endpoint"] = Field(
        "trained",
        description="model that writes self-edits. trained: the tenant's promoted editor, or the base until there is "
        "one; tenant: the tenant's active version; base: the base model; endpoint: the model at learn.teacher.url",
    )
    overrides: bool = Field(
        True,
        description="new documents override what the base model knows: answers that they contradict are not rehearsed, "
        "and are no regressions in canary suites other than those of policy safety.suites",
    )
    judge: bool = Field(
        True,
        description="the base model reads each passage of a new document first: a document with an order to a model is "
        "held for a person. A base that fails the calibration of policies/judge holds nothing",
    )
    free_recipe: str = Field(
        "", description="instruction for one more kind of self-edit, sent to the editor for every passage; empty: none"
    )
    tenant_recipes: Annotated[dict[str, str], BeforeValidator(from_text)] = Field(
        {}, description="free_recipe of single tenants: a table of tenant and instruction"
    )

    @model_validator(mode="after")
    def _recipes_are_safe(self) -> "StudySettings":
        for text in filter(None, (self.free_recipe, *self.tenant_recipes.values())):
            if fault := free_recipe_fault(text):
                raise ValueError(f"a free recipe {fault}: {text[:40]!r}")
        return self

    def recipe_of(self, tenant: str) -> str:
        """Return the tenant's free recipe; "" without one."""
        return self.tenant_recipes.get(tenant, self.free_recipe)


class TeacherSettings(Section):
    """[learn.teacher]: the model behind an endpoint that writes self-edits when learn.study.editor = endpoint."""

    url: str = Field("", description="base URL of an OpenAI-compatible API, up to /v1; it receives the documents")
    model: str = Field("", description="name of the model in requests to url")
    key_variable: str = Field(
        "", description="environment variable that holds the API key of url; empty: requests carry no key"
    )
    timeout_seconds: float = Field(120, gt=0, description="longest wait for one answer of url")
    patience_seconds: float = Field(
        600, ge=0, description="longest time that requests to an unavailable url are repeated; then the cycle ends as "
        "inconclusive"
    )  # fmt: skip

    def key(self) -> str:
        """Return the API key of url; "" when none is named. Raises: BadConfig (the variable is empty)."""
        return read_secret("learn.teacher.key_variable", self.key_variable)


class QuizSettings(Section):
    """[learn.quiz]: the questions that measure what a candidate learned."""

    edits: int = Field(
        8, ge=1, description="question-answer samples per passage (of the embedded model) for quiz questions"
    )
    questions_per_sentence: int = Field(
        2, ge=1, description="questions sampled per sentence (of any other base model) for quiz questions"
    )
    max_items: int = Field(64, ge=2, description="quiz questions per document at most")
    samples: int = Field(
        2, ge=1, description="answers sampled per question with the passage at hand; a question is kept if all agree"
    )


class TrainingSettings(Section):
    """[learn.training]: how candidates are trained."""

    candidates: int = Field(3, ge=1, description="recipes per cycle, each of which gives a candidate adapter")
    seeds: int = Field(
        1, ge=1, le=8, description="times each recipe is trained; from 2 on, the reward's reliability is measured"
    )
    finalists: int = Field(
        4,
        ge=1,
        description="recipes trained in full (successive halving); if there are more, all get a short training and "
        "the best go on",
    )
    targets: Annotated[tuple[Literal["likelihood", "distillation"], ...], BeforeValidator(from_text)] = Field(
        ("likelihood",),
        min_length=1,
        description="training targets, tried in turn. likelihood: of the self-edits; distillation: from the model "
        "with the passage in its context",
    )
    update: Literal["rebuild", "continue"] = Field(
        "rebuild",
        description="rebuild: train from the base, or from the imported adapter that the active one rests on, on "
        "everything learned so far; continue: train the active adapter on",
    )
    replay_examples: int = Field(
        4096,
        ge=0,
        description="examples of earlier documents that are replayed at most, in equal shares; 0: no replay",
    )
    rank: int = Field(8, ge=1, description="LoRA rank; at most engine.max_rank")
    alpha: int = Field(16, ge=1, description="LoRA alpha; the scaling is alpha / rank")
    learning_rate: float = Field(3e-3, gt=0, description="AdamW learning rate of the first recipe; others vary it")
    rate_steps: Annotated[tuple[float, ...], BeforeValidator(from_text)] = Field(
        (0.6, 1.5, 0.4, 2.0),
        description="learning rates of further recipes, as multiples of learning_rate",
    )
    kl_weight: float = Field(
        30.0, ge=0, description="weight of the divergence from the base's own answers on the retention set"
    )
    protected_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of what the base's layers read on the retention set that no adapter reads; 0: none",
    )
    strength: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the trained weight change that a new adapter gets: less forgets less, and learns less",
    )
    epochs: int = Field(20, ge=1, description="times a candidate sees each new example, limited by max_steps")
    max_steps: int = Field(
        140, ge=1, description="optimizer steps per candidate for one document; several documents take more steps"
    )
    batch_size: int = Field(12, ge=1, description="sequences per optimizer step")
    retention: float = Field(
        0.45,
        ge=0,
        lt=1,
        description="share of training sequences from the retention set, which keeps the base model's skills; 0: none",
    )


class RewardSettings(Section):
    """[learn.reward]: what candidates are ranked by."""

    kind: RewardKind = Field(
        RewardKind.LIKELIHOOD, description=f"reward that ranks candidates: {', '.join(RewardKind)}"
    )
    tenant_kinds: Annotated[dict[str, RewardKind], BeforeValidator(from_text)] = Field(
        {}, description="reward of single tenants: a table of tenant and kind"
    )
    consistency_samples: int = Field(
        4, ge=2, le=16, description=f"answers sampled per question by the reward {RewardKind.SELF_CONSISTENCY}"
    )
    consistency_rounds: int = Field(
        2,
        ge=1,
        le=10,
        description=f"versions in a row that the reward {RewardKind.SELF_CONSISTENCY} may choose; the next one must be "
        "chosen by known answers",
    )
    judge_url: str = Field(
        "",
        description=f"OpenAI-compatible endpoint of the reward {RewardKind.LLM_JUDGE}, with its path up to /v1",
    )
    judge_model: str = Field("", description="name of the model in requests to judge_url")
    judge_key_variable: str = Field(
        "", description="environment variable that holds the API key of judge_url; empty: requests carry no key"
    )
    judge_timeout_seconds: float = Field(60, gt=0, description="longest wait for one answer of judge_url")
    judge_patience_seconds: float = Field(
        120, gt=0, description="longest time that requests to a failing judge_url are repeated"
    )

    @model_validator(mode="after")
    def _judge_is_reachable(self) -> "RewardSettings":
        is_wanted = RewardKind.LLM_JUDGE in (self.kind, *self.tenant_kinds.values())
        if is_wanted and not (is_http_url(self.judge_url) and self.judge_model):
            raise ValueError(
                f"reward {RewardKind.LLM_JUDGE} needs learn.reward.judge_url (http:// or https://) "
                "and learn.reward.judge_model"
            )
        return self

    def kind_of(self, tenant: str) -> RewardKind:
        """Return what ranks the tenant's candidates."""
        return self.tenant_kinds.get(tenant, self.kind)

    def judge_key(self) -> str:
        """Return the API key of judge_url; "" when none is named. Raises: BadConfig (the variable is empty)."""
        return read_secret("learn.reward.judge_key_variable", self.judge_key_variable)


class EditorSettings(Section):
    """[learn.editor]: the rounds that train the tenant's editor."""

    rounds: Annotated[str, AfterValidator(_cron_or_none)] = Field(
        "", description="cron line of editor rounds (UTC), for example 0 4 * * 0: Sundays at four; empty: no rounds"
    )
    documents: int = Field(
        40, ge=4, description="newest learned documents that a round uses; half of them judge the new editor"
    )
    samples: int = Field(5, ge=2, description="sets of self-edits sampled per document in a round")
    trial_steps: int = Field(80, ge=1, description="optimizer steps of the short adapters that a round trains")
    learning_rate: float = Field(
        2e-3, gt=0, description="AdamW learning rate of the editor; SEAL uses 3e-4 for a model of 7B"
    )
    epochs: int = Field(8, ge=1, description="times the editor sees each winning self-edit; SEAL uses 2")
    recipes: int = Field(0, ge=0, description="recipes from the archive that a round tries; 0: none")


class LearnSettings(Section):
    """[learn]: the learning process and its schedule.

    Defaults of [learn.study], [learn.quiz] and [learn.training] are those of the embedded model; another base model's
    profile has others (`with_defaults`).
    """

    engine_address: str = Field(
        "", description="host:port of the EngineService that writes and measures; empty: serve.address"
    )
    gather_seconds: float = Field(2, gt=0, description="time between two looks for admitted documents to learn")
    nightly: Annotated[str, AfterValidator(_cron)] = Field(
        "0 3 * * *",
        description="cron line of the nightly evaluation (UTC), or @daily, @weekly and the like; a night that was "
        "missed while learn was busy or asleep is made up for once",
    )
    suite_items: int = Field(
        0,
        ge=0,
        description="questions of each shipped canary suite that a candidate answers at most; 0: all. Fewer are faster "
        "on a slow machine, but the policy promotes nothing on fewer than its min_items",
    )
    max_documents_per_cycle: int = Field(4, ge=1, description="documents that one cycle learns together at most")
    max_attempts: int = Field(
        5, ge=1, description="claims of a cycle without a finished step after which the cycle fails"
    )
    workers: int = Field(1, ge=1, description="cycles that this process runs at once")
    concurrency: int = Field(48, ge=1, description="engine calls that one cycle has in flight at once")
    executor: Literal["process", "ray"] = Field(
        "process", description="where candidates are trained. process: on the machine of learn; ray: in a Ray cluster"
    )
    ray_address: str = Field(
        "auto", description="address of the Ray cluster for executor = ray; auto: the cluster of this machine"
    )
    trainer_processes: int = Field(
        0,
        ge=0,
        description="trainer processes at once, each with its own copy of the base; "
        "0: one per core for a base below 100 MB on CPU, otherwise one",
    )
    threads: int = Field(0, ge=0, description="CPU threads of all trainer processes together; 0: all cores")
    devices: str = Field(
        "",
        description="CUDA_VISIBLE_DEVICES of the trainer processes. spare: a device that neither serves (the first "
        "does) nor trains, reserved by a lease; cpu: no device; empty: inherited, or assigned by Ray",
    )
    niceness: int = Field(
        5,
        ge=0,
        le=19,
        description="niceness of the trainer processes, and of the session if learn leads one of its own; a higher "
        "value leaves serving more CPU time",
    )
    trainer_timeout_seconds: float = Field(1800, gt=0, description="a trainer process that runs longer is killed")
    allow_unfit_base: bool = Field(
        False, description="learn although `sealserve model check` found the base model below its floors"
    )
    study: StudySettings = StudySettings()
    teacher: TeacherSettings = TeacherSettings()
    quiz: QuizSettings = QuizSettings()
    training: TrainingSettings = TrainingSettings()
    reward: RewardSettings = RewardSettings()
    editor: EditorSettings = EditorSettings()

    def with_defaults(self, tables: Mapping[str, Mapping[str, Any]]) -> "LearnSettings":
        """Return the settings with other defaults: keys that were set stay. Raises: BadConfig (an unknown key)."""
        changed = {}
        for name, keys in tables.items():
            table = getattr(self, name, None)
            if not isinstance(table, Section):
                raise BadConfig(f"a model profile has a table learn.{name} that does not exist")
            chosen = {key: getattr(table, key) for key in table.model_fields_set}
            try:
                changed[name] = type(table).model_validate({**keys, **chosen})
            except ValidationError as error:
                fault = error.errors()[0]
                key = ".".join(map(str, fault["loc"]))
                raise BadConfig(f"a model profile is wrong at learn.{name}.{key}: {fault['msg']}") from error
        return self.model_copy(update=changed)

    @model_validator(mode="after")
    def _teacher_is_reachable(self) -> "LearnSettings":
        if self.study.editor == "endpoint" and not (is_http_url(self.teacher.url) and self.teacher.model):
            raise ValueError(
                "learn.study.editor = endpoint needs learn.teacher.url (http:// or https://) and learn.teacher.model"
            )
        return self

    @model_validator(mode="after")
    def _executor_fits(self) -> "LearnSettings":
        if self.executor == "ray" and self.devices not in ("", "cpu"):
            raise ValueError(
                "learn.devices names a device, but Ray assigns devices when learn.executor = ray: leave it empty"
            )
        return self


def learn_settings(**keys: Any) -> LearnSettings:
    """Return the settings of flat keys: `training__rank=8` sets learn.training.rank. Raises: ValidationError."""
    return LearnSettings.model_validate(nested(keys, separator="__"))
