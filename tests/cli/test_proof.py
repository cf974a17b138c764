"""`audit export`, `verify --file`, `lineage`, `adapter export` from the command line."""

from pathlib import Path

import pytest

from sealserve.daemon.storage import open_registry
from sealserve.records.documents import NewDocument
from sealserve.settings.settings import Settings
from tests.cli.site import run


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with a tenant and a document."""
    monkeypatch.setenv("SEALSERVE_DATA_DIRECTORY", str(tmp_path / "data"))
    registry = open_registry(Settings(data_directory=tmp_path / "data"))
    registry.tenants.create("acme", actor="ann")
    registry.documents.add(
        "acme", NewDocument(title="T", text="It is so.", source="rpc", media_type="text/plain"), actor="ann"
    )
    registry.close()
    return tmp_path


def test_a_trail_is_exported_and_checked_also_after_a_new_key(data: Path) -> None:
    file = data / "audit.jsonl"  # of a tenant, a document, and this installation's key
    assert run("audit", "export", "--to", str(file), "--json").shown["rows"] == 3
    assert run("audit", "export", "--to", str(file), "--json").code == 2
    assert len(run("audit", "rotate-key", "--json").shown["key"]) == 16
    assert run("audit", "verify", "--file", str(file), "--json").shown == {"whole": True, "rows": 3}
    file.write_text(file.read_text().replace('"ann"', '"eve"', 1))
    assert run("audit", "verify", "--file", str(file), "--json").code == 1
    assert run("audit", "verify", "--file", str(data / "absent"), "--json").code == 2


def test_lineage_and_export_say_what_there_is_not(data: Path) -> None:
    shown = run("lineage", "acme/v0", "--json").shown
    assert shown["made_of"] == "the base model"
    assert run("lineage", "acme/v1", "--json").code == 3
    assert run("lineage", "what/is/this", "--json").code == 2
    assert run("adapter", "export", "acme", "v1", "--to", str(data / "a.tar"), "--json").code == 3
    assert run("adapter", "import", "acme", str(data / "a.tar"), "--json").code == 2
