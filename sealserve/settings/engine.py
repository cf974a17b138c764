"""Settings of the engine."""

from collections.abc import Collection

from pydantic import Field, model_validator

from sealserve.settings.section import Section

MAX_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The values that vLLM 0.32 accepts for max_lora_rank."""

FREE_PLACES = 2
"""Of `loaded_adapters`: they stay free for promotions and rollbacks."""

LEAST_SLOTS, LEAST_PLACES = 4, 64
"""So many adapter slots, and adapters in memory, every machine has room for."""

DEFAULT_GPU_FRACTION = 0.85
"""Of GPU memory, for vLLM where nothing trains beside it."""


class EngineSettings(Section):
    """[engine]: the model and how vLLM runs it."""

    model: str = Field(
        "nano",
        description="base model: nano (embedded), one that `sealserve model add` added, or the name or directory "
        "of a Hugging Face causal LM",
    )
    dtype: str = Field(
        "auto",
        description="number format: auto (the weights' own; float32 on a CPU without fast bfloat16), bfloat16, "
        "float16 or float32",
    )
    max_context_tokens: int | None = Field(
        None,
        ge=64,
        description="context length limit, in tokens; unset: the model's own, on CPU what kv_cache_gib holds",
    )
    slots: int | None = Field(
        None,
        ge=1,
        description="adapter slots: adapters that can share one batch (vLLM max_loras); unset: as many as sequences "
        "and loaded adapters, if a twentieth of the memory holds them, else fewer",
    )
    loaded_adapters: int | None = Field(
        None,
        ge=3,
        description="adapters kept in CPU memory (vLLM max_cpu_loras); two of these places stay free for promotions "
        "and rollbacks; unset: what a twentieth of the memory holds, from 64 to 512",
    )
    max_rank: int = Field(
        32, description=f"largest LoRA rank that is accepted; one of {', '.join(map(str, MAX_RANKS))}"
    )
    kv_cache_gib: float = Field(0.5, gt=0, description="size of the KV cache when vLLM runs on CPU, in GiB")
    gpu_memory_fraction: float | None = Field(
        None,
        gt=0,
        le=1,
        description="share of GPU memory that vLLM may take; unset: what leaves room for a trainer on the same GPU, "
        f"at most {DEFAULT_GPU_FRACTION}",
    )
    max_sequences: int = Field(64, ge=1, description="sequences that vLLM runs in one batch at most")
    liveness_seconds: float = Field(
        20, gt=0, description="time between two liveness checks of the engine (a test generation)"
    )
    liveness_deadline_seconds: float = Field(
        30,
        gt=0,
        description="time without a finished step and without CPU use after which the engine counts as hung during a "
        "liveness check; more where its steps are slow and after each hang, up to 300",
    )
    threads: int = Field(0, ge=0, description="CPU threads of the engine; 0: all cores")

    @model_validator(mode="after")
    def _slots_fit(self) -> "EngineSettings":
        if self.max_rank not in MAX_RANKS:
            raise ValueError(f"engine.max_rank must be one of {MAX_RANKS}, not {self.max_rank}")
        if self.adapter_places < self.adapter_slots:
            raise ValueError("engine.loaded_adapters must be at least engine.slots")
        return self

    def unfit_residents(self, tenants: Collection[str]) -> str:
        """Return why the versions of so many tenants cannot all stay loaded; empty if they can."""
        places = self.adapter_places - FREE_PLACES
        if not tenants or len(tenants) < places:
            return ""
        return (
            f"{len(tenants)} tenants, and engine.loaded_adapters {self.adapter_places} leaves {places} places of "
            "which one has to serve all others"
        )

    @property
    def adapter_slots(self) -> int:
        """The adapter slots that are set, else what every machine has room for; `memory_plan.with_room` sets them."""
        return self.slots or min(LEAST_SLOTS, self.adapter_places)

    @property
    def adapter_places(self) -> int:
        """The loaded adapters that are set, else what every machine has room for; `memory_plan.with_room` sets them."""
        return self.loaded_adapters or max(LEAST_PLACES, self.slots or 0)
