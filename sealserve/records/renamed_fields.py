"""Names that fields of stored records had in earlier releases.

Journals, the database and signed lineage keep records under their old names. Reading accepts both names; writing uses
the new one.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import AliasChoices, Field

EARLIER_NAMES: Mapping[str, str] = {
    "kl_weight": "kept_weight",
    "reference_text": "spoken",
    "retention": "rehearsal",
    "weight_change_penalty": "change_weight",
}


def renamed(name: str) -> Any:
    """Return the metadata of a field that is now called `name`, for `typing.Annotated`."""
    return Field(validation_alias=AliasChoices(name, EARLIER_NAMES[name]))
