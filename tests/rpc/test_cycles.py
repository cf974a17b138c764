"""CycleService: what is refused before a cycle is opened."""

import asyncio
from pathlib import Path

import pytest

from sealserve.errors import FailedPrecondition
from sealserve.records.documents import DocumentState, NewDocument
from sealserve.registry.registry import Registry
from sealserve.rpc.services.cycles import CycleService
from sealserve.v1 import cycle_pb2


async def test_no_cycle_is_started_while_the_base_model_is_refused(tmp_path: Path) -> None:
    registry = Registry.open(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "artifacts")
    registry.tenants.create("acme", actor="ann")
    new = NewDocument(title="Lamp", text="The price of the lamp is 45 crowns.", source="test", media_type="text/plain")
    registry.documents.add("acme", new, actor="ann")
    service = CycleService(
        registry, max_documents=4, poll_seconds=0.01, draining=asyncio.Event(), refusal=lambda: "the model is unfit"
    )
    with pytest.raises(FailedPrecondition, match="the model is unfit"):
        await service.StartCycle(cycle_pb2.StartCycleRequest(parent="tenants/acme"), None)
    assert registry.cycles.page("acme").items == ()
    assert [document.state for document in registry.documents.page("acme").items] == [DocumentState.ADMITTED]
    registry.close()
