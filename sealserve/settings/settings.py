"""Settings: one TOML file, overridden by environment variables. No other module reads either.

Unknown keys and combinations that cannot work fail at load, by name. `SEALSERVE_<SECTION>__<KEY>` overrides a value
(`SEALSERVE_LEARN__TRAINING__RANK`; an empty variable counts as not set), and so does `SEALSERVE_DATA_DIRECTORY`;
`SEALSERVE_CONFIG` names the file. Lists and tables in variables are JSON.
"""

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from sealserve.errors import BadConfig
from sealserve.network import is_loopback
from sealserve.settings.engine import EngineSettings
from sealserve.settings.learn import LearnSettings
from sealserve.settings.limits import LimitSettings
from sealserve.settings.listener import HttpSettings
from sealserve.settings.renamed_keys import OLD_KEYS, OLD_REWARDS
from sealserve.settings.section import Section, nested
from sealserve.settings.serve import ServeSettings
from sealserve.settings.sources import SourceSettings
from sealserve.settings.telemetry import TelemetrySettings
from sealserve.settings.web import WebSettings

_PREFIX, _DELIMITER = "SEALSERVE_", "__"


class RegistrySettings(Section):
    """[registry]: the database, leases on work, and how long rows are kept."""

    url: str = Field("", description="SQLAlchemy URL of the database; empty: SQLite in the data directory")
    artifacts: str = Field(
        "",
        description="object store of adapters and documents for more than one machine, as fsspec names it "
        "(s3://bucket/prefix; credentials and AWS_ENDPOINT_URL from the environment); empty: the data directory",
    )
    lease_seconds: float = Field(30, gt=1, description="a worker that is silent for this long loses its cycle")
    request_days: float = Field(
        30, ge=0, description="days for which a repeated request_id is answered as the first time; 0: for ever"
    )
    decision_days: float = Field(
        400, ge=0, description="days for which decisions of policy rules can be explained and replayed; 0: for ever"
    )


class IntakeSettings(Section):
    """[intake]: which documents are accepted."""

    watch_directory: Path | None = Field(
        None, description="directory whose files <tenant>/*.md, *.docx, *.pdf … are learned; unset: none is watched"
    )
    max_file_bytes: int = Field(
        32 * 2**20, ge=1, description="largest file that is taken in, in bytes; not kept once its text is read"
    )
    max_text_bytes: int = Field(
        2 * 2**20, ge=1, description="longest text that is read out of one file, in bytes of UTF-8"
    )
    max_documents_per_tenant: int = Field(100_000, ge=1, description="documents that one tenant may keep")


class PolicySettings(Section):
    """[policy]: what decides about promotion and access."""

    thresholds: Path | None = Field(
        None, description="YAML file of thresholds for the gate; unset: the packaged policies/default.yaml"
    )
    rules: Path | None = Field(
        None, description="folder that holds rules/ and tests/rules/ (CEL); unset: the packaged policies"
    )


class Settings(BaseSettings):
    """The whole file. The constructor takes its arguments alone; `load_settings` reads the file and the environment."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        case_sensitive=True,
        env_prefix=_PREFIX,
        env_nested_delimiter=_DELIMITER,
        env_ignore_empty=True,
        enable_decoding=False,
    )

    data_directory: Path = Field(
        Path("sealserve-data"), description="directory of the database, artifacts, caches and keys"
    )
    serve: ServeSettings = ServeSettings()
    limits: LimitSettings = LimitSettings()
    engine: EngineSettings = EngineSettings()
    registry: RegistrySettings = RegistrySettings()
    intake: IntakeSettings = IntakeSettings()
    sources: SourceSettings = SourceSettings()
    learn: LearnSettings = LearnSettings()
    policy: PolicySettings = PolicySettings()
    http: HttpSettings = HttpSettings()
    web: WebSettings = WebSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the constructor's arguments as the only source."""
        return (init_settings,)

    @model_validator(mode="after")
    def _rank_fits(self) -> "Settings":
        rank = self.learn.training.rank
        if rank > self.engine.max_rank:
            raise ValueError(f"learn.training.rank {rank} is above engine.max_rank {self.engine.max_rank}")
        return self

    @model_validator(mode="after")
    def _listeners_ask_who_comes(self) -> "Settings":
        for listener in (self.web, self.http):
            if self.serve.auth == "off" and not listener.is_off and not is_loopback(listener.address):
                text = f"serve.auth = off is for loopback only, and {listener.section}.address is {listener.address}"
                raise ValueError(text)
        return self

    @model_validator(mode="after")
    def _residents_fit(self) -> "Settings":
        if fault := self.engine.unfit_residents(self.serve.resident_tenants):
            raise ValueError(f"serve.resident_tenants names {fault}")
        return self

    @property
    def registry_url(self) -> str:
        """The database URL, with the default filled in."""
        return self.registry.url or f"sqlite:///{self.data_directory.absolute() / 'registry.db'}"

    @property
    def artifact_directory(self) -> Path:
        """Where artifacts are kept by digest, or with registry.artifacts their copies."""
        return self.data_directory.absolute() / ("artifact-copies" if self.registry.artifacts else "artifacts")

    def digest(self) -> str:
        """Return the sha256 of the resolved settings, keys and values; stored with each candidate.

        A release that adds or renames a key gives another digest for the same file.
        """
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def as_environment(self) -> dict[str, str]:
        """Return these settings as environment variables: `load_settings()` under them gives the same settings.

        Variables of this process that set other keys come back empty, which counts as not set.
        """
        inherited = {name: "" for name in os.environ if name.startswith(_PREFIX) and _DELIMITER in name}
        return {f"{_PREFIX}CONFIG": "", **inherited, **_variables(self, _PREFIX)}


def load_settings(path: Path | None = None, *, overrides: dict[str, Any] | None = None) -> Settings:
    """Return the settings of `path` (or SEALSERVE_CONFIG, or the defaults), environment and `overrides` on top.

    `overrides` uses dotted keys ("serve.address"). Tables merge key by key. Raises: BadConfig, naming the file and
    every wrong key.
    """
    named = path or (Path(os.environ["SEALSERVE_CONFIG"]) if os.environ.get("SEALSERVE_CONFIG") else None)
    sources = (
        InitSettingsSource(Settings, nested(overrides or {})),
        _Environment(Settings, case_sensitive=False),
        InitSettingsSource(Settings, _read(named) if named else {}),
    )
    try:
        return Settings(_build_sources=(sources, {}))
    except ValidationError as error:
        raise BadConfig(f"{named or 'settings'}: " + "; ".join(map(_fault, error.errors()))) from error


class _Environment(EnvSettingsSource):
    """The variables. Sections that do not exist are passed on, so that validation names them."""

    def __call__(self) -> dict[str, Any]:
        names = [name for name in self.env_vars if name.startswith(self.env_prefix.lower()) and _DELIMITER in name]
        for name in names:
            if below := [other for other in names if other.startswith(f"{name}{_DELIMITER}")]:
                raise BadConfig(f"{name.upper()} is a value, not a section: unset it or {below[0].upper()}")
        sections = {name[self.env_prefix_len :].split(_DELIMITER)[0] for name in names}
        return {**{section: {} for section in sections - Settings.model_fields.keys()}, **super().__call__()}


def _read(path: Path) -> dict[str, Any]:
    """Return the file's tables. The library's own TOML source passes over a file that is missing or a pipe."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadConfig(f"{path}: no such settings file; check --config or SEALSERVE_CONFIG") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadConfig(f"{path}: cannot be read as TOML: {error}") from error


def _fault(error: Mapping[str, Any]) -> str:
    key = ".".join(map(str, error["loc"]))
    if key in OLD_KEYS:
        return f"{key} is now {OLD_KEYS[key]}"
    if error["type"] == "enum" and key.startswith("learn.reward.") and str(error["input"]) in OLD_REWARDS:
        return f"{key}: {error['input']} is now {OLD_REWARDS[str(error['input'])]}"
    return f"{key or 'combination'}: {error['msg'].removeprefix('Value error, ')}"


def _variables(section: BaseModel, prefix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in section.model_dump(mode="json").items():
        inner = getattr(section, key)
        if isinstance(inner, Section):
            found |= _variables(inner, f"{prefix}{key}{_DELIMITER}".upper())
        elif value is not None:
            found[f"{prefix}{key}".upper()] = json.dumps(value) if isinstance(value, list | dict) else str(value)
    return found
