"""Every settings key is documented in settings/, and README.md shows exactly those keys."""

from sealserve.settings.section import Section
from sealserve.settings.settings import Settings
from tests.contract.settings_table import readme_with_table
from tests.contract.tree import ROOT


def test_every_key_has_a_line_of_documentation() -> None:
    sections = [(name, field.annotation) for name, field in Settings.model_fields.items()]
    silent = [
        f"{name}.{key}"
        for name, section in sections
        if isinstance(section, type) and issubclass(section, Section)
        for key, field in section.model_fields.items()
        if not field.description
    ]
    assert silent == []


def test_readme_shows_the_settings_as_they_are() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == readme_with_table(readme), "run: .venv/bin/python -m tests.contract.settings_table"
