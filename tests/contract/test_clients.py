"""The blocking client is what ops/clients makes of the asyncio client."""

import subprocess
from pathlib import Path

from sealserve.client import AsyncClient, Client
from tests.contract.tree import ROOT


def test_blocking_client_is_generated_from_the_asyncio_client(tmp_path: Path) -> None:
    subprocess.run([ROOT / "ops/clients", tmp_path], check=True, capture_output=True, cwd=ROOT)
    fresh = {path.name: path.read_text() for path in (tmp_path / "sealserve/client").iterdir()}
    kept = {path.name: path.read_text() for path in (ROOT / "sealserve/client").glob("sync_*.py")}
    assert sorted(fresh) == sorted(kept)
    stale = [name for name, text in fresh.items() if kept[name] != text]
    assert not stale, f"stale: {stale}; run ops/clients"


def test_both_clients_have_the_same_methods() -> None:
    assert _methods(Client) == _methods(AsyncClient)
    assert len(_methods(Client)) > 40


def _methods(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}
