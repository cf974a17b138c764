"""Writes the settings table of README.md from settings/settings.py: `python -m tests.contract.settings_table`."""

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sealserve.settings.section import Section
from sealserve.settings.settings import Settings
from tests.contract.tree import ROOT

BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"


def settings_table() -> str:
    """Return one Markdown row for each key, in the order of settings/settings.py."""
    lines = ["| key | default | what it sets |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            lines += [_row(f"{name}.{key}", inner) for key, inner in section.model_fields.items()]
        else:
            lines.append(_row(name, field))
    return "\n".join(lines) + "\n"


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
