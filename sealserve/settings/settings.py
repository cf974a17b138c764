"""Settings: one TOML file, a few environment overrides, nothing else. The only reader of either.

Unknown keys and combinations that cannot work fail at load, by name. `SEALSERVE_<SECTION>__<KEY>` and
`SEALSERVE_DATA_DIRECTORY` override a value (an empty one counts as not set); `SEALSERVE_CONFIG` names the file.
"""

import hashlib
import json
import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from sealserve.errors import BadConfig
from sealserve.network import is_loopback
from sealserve.settings.engine import EngineSettings
from sealserve.settings.learn import LearnSettings
from sealserve.settings.section import Section
from sealserve.settings.serve import ServeSettings
from sealserve.settings.telemetry import TelemetrySettings
from sealserve.settings.web import WebSettings


class RegistrySettings(Section):
    """[registry]: where truth is kept."""

    url: str = Field("", description="SQLAlchemy URL; empty: SQLite in the data directory")
    lease_seconds: float = Field(30, gt=1, description="a worker silent for this long loses its cycle")


class IntakeSettings(Section):
    """[intake]: what may come in."""

    watch_directory: Path | None = Field(None, description="<directory>/<tenant>/*.md|txt|html|pdf is learned")
    max_document_bytes: int = Field(2 * 2**20, ge=1, description="largest document, in bytes")
    max_documents_per_tenant: int = Field(100_000, ge=1, description="documents one tenant may keep")


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
