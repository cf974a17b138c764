"""Writes the settings table of README.md from settings.py: `python -m tests.contract.settings_table`."""

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sealserve.settings.section import Section
from sealserve.settings.settings import Settings
from tests.contract.tree import ROOT

BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"


def settings_table() -> str:
    """Return one Markdown row for each key, in the order of the sections; tables follow the keys beside them."""
    lines = ["| key | default | what it sets |", "|---|---|---|"]
    lines += [_row(key, field) for key, field in settings_keys().items()]
    return "\n".join(lines) + "\n"


def settings_keys(section: type[BaseModel] = Settings, prefix: str = "") -> dict[str, FieldInfo]:
    """Return every key with a value, dotted; tables are walked into."""
    keys: dict[str, FieldInfo] = {}
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            keys |= settings_keys(inner, f"{prefix}{name}.")
        else:
            keys[f"{prefix}{name}"] = field
    return keys


def readme_with_table(readme: str) -> str:
    """Return `readme` with the table between its two marks."""
    before, rest = readme.split(BEGIN)
    return before + BEGIN + settings_table() + END + rest.split(END)[1]


def _row(key: str, field: FieldInfo) -> str:
    default = field.default if field.default is not PydanticUndefined else field.get_default(call_default_factory=True)
    shown = "unset" if default in (None, "") else f"`{default}`"
    words = (field.description or "").replace("|", " or ").replace("<", "&lt;")
    return f"| `{key}` | {shown} | {words} |"


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(readme_with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
