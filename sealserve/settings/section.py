"""What every section of the settings file is made of."""

import json
import os
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from sealserve.errors import BadConfig


class Section(BaseModel):
    """A table of the file. Frozen; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def nested(values: Mapping[str, Any], *, separator: str = ".") -> dict[str, Any]:
    """Return the tree of flat keys: {"training.rank": 8} gives {"training": {"rank": 8}}."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *sections, last = key.split(separator)
        table = tree
        for section in sections:
            table = table.setdefault(section, {})
        table[last] = value
    return tree


def from_text(value: Any) -> Any:
    """Read a list or a table that came as text: an environment variable has no other form."""
    return json.loads(value) if isinstance(value, str) else value


def read_secret(setting: str, variable: str) -> str:
    """Return the secret in the environment variable that `setting` names; "" when it names none. Raises: BadConfig."""
    key = os.environ.get(variable, "") if variable else ""
    if variable and not key:
        raise BadConfig(f"{setting}: the environment variable {variable} is not set")
    return key


def is_http_url(url: str) -> bool:
    """Return whether the URL starts with http:// or https://."""
    return url.startswith(("http://", "https://"))
