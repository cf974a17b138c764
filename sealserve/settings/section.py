"""What every section of the settings file is made of."""

import json
import os
from typing import Any

from pydantic import BaseModel, ConfigDict

from sealserve.errors import BadConfig


class Section(BaseModel):
    """A table of the file. Frozen; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def from_text(value: Any) -> Any:
    """Read a list or a table that came as text: an environment variable has no other form."""
    return json.loads(value) if isinstance(value, str) else value


def read_secret(setting: str, variable: str) -> str:
    """Return the secret in the environment variable that `setting` names; "" when it names none. Raises: BadConfig."""
    key = os.environ.get(variable, "") if variable else ""
    if variable and not key:
        raise BadConfig(f"{setting}: the environment variable {variable} is not set")
    return key
