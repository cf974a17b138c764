"""Writes ops/docs/configuration.md from the settings models: `python -m tests.contract.configuration_page`."""

import json
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sealserve.settings.settings import Settings
from tests.contract.tree import ROOT

PATH = ROOT / "ops/docs/configuration.md"

INTRODUCTION = """\
# Configuration

<!-- Generated from the settings models by `python -m tests.contract.configuration_page`; do not edit. -->

sealserve reads one TOML file, named by `--config` or `SEALSERVE_CONFIG`. Every key has a default that runs on a laptop,
so a file holds only what differs:

```toml
data_directory = "/var/lib/sealserve"

[engine]
model = "Qwen/Qwen2.5-7B-Instruct"

[intake]
watch_directory = "inbox"
```

- **Environment.** `SEALSERVE_<SECTION>__<KEY>` overrides a value of the file: `SEALSERVE_ENGINE__MODEL`. A nested
  section adds its name: `SEALSERVE_<SECTION>__<SUBSECTION>__<KEY>`. `data_directory` belongs to no section:
  `SEALSERVE_DATA_DIRECTORY`. Lists and tables are written as JSON. An empty variable counts as not set.
- **Command line.** `--model`, `--data-directory` and `--address` override both, where a command has them.
- **Errors.** Unknown keys, values out of range and combinations that cannot work are refused at start, by name.
  `sealserve doctor` checks the settings without starting anything.
- **Provenance.** The digest of the resolved settings is stored with each candidate.
- **Secrets.** API keys are not settings. A setting that ends in `key_variable` names the environment variable that
  holds one.

Two things are not settings. What a candidate has to show before it is promoted is the policy
([policies/default.yaml](../../policies/default.yaml)). What else may happen is written as rules
([policies/rules](../../policies/rules/default.yaml)), with golden cases and overlays for tenants; a changed bundle of
rules comes into force without a restart, once its cases pass. [Evaluation](evaluation.md) explains the policy, and
[security](security.md) the rules.
"""


def page() -> str:
    """Return the page: the introduction, then one table per section in the order of the models."""
    return INTRODUCTION + "".join(_section(path, model) for path, model in sections(Settings))


def sections(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """Yield (path, model) of `model` and of every model nested in it, outer ones first."""
    yield path, model
    for name, field in model.model_fields.items():
        if (nested := _model_of(field)) is not None:
            yield from sections(nested, (*path, name))


def settings_keys(model: type[BaseModel] = Settings) -> Iterator[tuple[str, FieldInfo]]:
    """Yield (dotted key, field) of every value that can be set."""
    for path, section in sections(model):
        for name, field in section.model_fields.items():
            if _model_of(field) is None:
                yield ".".join((*path, name)), field


def _section(path: tuple[str, ...], model: type[BaseModel]) -> str:
    rows = [
        _row(".".join((*path, name)), field) for name, field in model.model_fields.items() if _model_of(field) is None
    ]
    if not rows:
        return ""
    heading = f"{'#' * (1 + len(path))} `[{'.'.join(path)}]`" if path else "## Outside any section"
    about = f"{_about(model)}\n\n" if path and _about(model) else ""
    return f"\n{heading}\n\n{about}| key | default | description |\n|---|---|---|\n" + "".join(rows)


def _about(model: type[BaseModel]) -> str:
    """The first paragraph of the docstring, without the section's name before it."""
    paragraph = " ".join((model.__doc__ or "").strip().split("\n\n")[0].split())
    words = paragraph.partition("]: ")[2] if paragraph.startswith("[") else paragraph
    return words[:1].upper() + words[1:]


def _row(key: str, field: FieldInfo) -> str:
    words = (field.description or "").replace("|", "\\|").replace("<", "&lt;")
    return f"| `{key}` | {_default(field.get_default(call_default_factory=True))} | {words} |\n"


def _default(value: Any) -> str:
    """The default as TOML has it."""
    if value is None or value == "":
        return "unset"
    if isinstance(value, tuple | list | set | frozenset):
        value = [str(one) for one in value]
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""
    return f"`{text or json.dumps(str(value) if isinstance(value, PurePath) else value)}`"


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


if __name__ == "__main__":
    PATH.write_text(page(), encoding="utf-8")
