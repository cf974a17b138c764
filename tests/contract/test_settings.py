"""Every settings key is documented in its section, and README.md shows exactly those keys."""

from tests.contract.settings_table import readme_with_table, settings_keys
from tests.contract.tree import ROOT


def test_every_key_has_a_line_of_documentation() -> None:
    assert [key for key, field in settings_keys().items() if not field.description] == []


def test_readme_shows_the_settings_as_they_are() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == readme_with_table(readme), "run: .venv/bin/python -m tests.contract.settings_table"
