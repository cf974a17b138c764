"""Every settings key is documented in its model, ops/docs/configuration.md is fresh, and the files shown load."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from sealserve.settings.settings import load_settings
from sealserve.telemetry.names import LogEvent
from tests.contract import configuration_page
from tests.contract.tree import ROOT, pages

SECTIONS = {key.partition(".")[0] for key, _ in configuration_page.settings_keys() if "." in key}


def test_every_key_has_a_line_of_documentation() -> None:
    assert [key for key, field in configuration_page.settings_keys() if not field.description] == []


def test_the_page_shows_the_settings_as_they_are() -> None:
    page = configuration_page.PATH.read_text(encoding="utf-8")
    assert page == configuration_page.page(), "run: .venv/bin/python -m tests.contract.configuration_page"


def test_nested_sections_are_listed_by_their_whole_path() -> None:
    class Inner(BaseModel):
        rate: float = Field(0.5, description="how fast")

    class Outer(BaseModel):
        size: int = Field(1, description="how large")
        inner: Inner = Inner()

    assert [path for path, _ in configuration_page.sections(Outer)] == [(), ("inner",)]
    assert [key for key, _ in configuration_page.settings_keys(Outer)] == ["size", "inner.rate"]


@pytest.mark.parametrize("path", sorted(pages()))
def test_every_key_named_exists(path: str) -> None:
    known = {key for key, _ in configuration_page.settings_keys()}
    named = re.findall(rf"`((?:{'|'.join(SECTIONS)})\.[a-z_.]*[a-z_])(?=`| =)", pages()[path])
    events = set(LogEvent)
    assert sorted({key for key in named if key not in known | events and not key.endswith((".py", ".md"))}) == []


def test_every_file_shown_loads(tmp_path: Path) -> None:
    shown = [block for text in pages().values() for block in re.findall(r"(?ms)^```toml\n(.*?)^```$", text)]
    assert shown
    for block in shown:
        file = tmp_path / "sealserve.toml"
        file.write_text(block, encoding="utf-8")
        assert load_settings(file).data_directory


def test_every_variable_named_outside_the_pages_exists() -> None:
    known = {key.replace(".", "__").upper() for key, _ in configuration_page.settings_keys()}
    files = [ROOT / "ops/compose.yaml", ROOT / "Dockerfile", ROOT / "ops/systemd/sealserve.service"]
    text = "\n".join([*pages().values(), *(file.read_text(encoding="utf-8") for file in files)])
    named = re.findall(r"\bSEALSERVE_([A-Z]+(?:__[A-Z_]*[A-Z])+)", text)
    assert named
    assert sorted(set(named) - known) == []
