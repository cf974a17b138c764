"""Held documents over the wire: released by the right person, once, or not at all."""

from typing import Any

import grpc.aio
import pytest

from sealserve.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from sealserve.records.documents import DocumentState
from sealserve.records.principals import Role
from sealserve.v1 import document_pb2, document_pb2_grpc
from tests.rpc.harness import BEARER, Served
from tests.rpc.test_authorisation import as_principal


def state(here: Served) -> Any:
    """Everything a release could change; making a token leaves the tenant's documents alone."""
    rows = [row for row in here.registry.audit.rows() if not row.action.startswith("token.")]
    return here.registry.documents.page("acme").items, rows


async def test_approver_releases_what_is_held_and_the_audit_trail_says_who(here: Served) -> None:
    held = here.world.held_document()
    async with as_principal(here, Role.APPROVER, "acme") as bea:
        assert "waits" in await bea.document_text("acme", held.document)
        released = await bea.release_document("acme", held.document, reason="read it")
    assert (released.document, released.state) == (held.document, DocumentState.ADMITTED)
    assert here.registry.documents.tenants_with_admitted() == ("acme",)
    row = here.registry.audit.rows(tenant="acme")[-1]
    assert (row.action, row.actor, row.details["reason"]) == ("document.release", "approver-acme-x", "read it")


@pytest.mark.parametrize(
    ("role", "tenants", "kind"),
    [
        (Role.VIEWER, ("acme",), PermissionDenied),
        (Role.OPERATOR, ("acme",), PermissionDenied),
        (Role.ENGINE, (), PermissionDenied),
        (Role.APPROVER, ("globex",), NotFound),
    ],
)
async def test_wrong_person_releases_nothing(
    here: Served, role: Role, tenants: tuple[str, ...], kind: type[Exception]
) -> None:
    held = here.world.held_document()
    before = state(here)
    async with as_principal(here, role, *tenants) as eve:
        with pytest.raises(kind):
            await eve.release_document("acme", held.document)
    assert state(here) == before


async def test_twice_is_told_and_the_same_request_again_is_the_same_release(here: Served) -> None:
    held = here.world.held_document().document
    first = await here.client.release_document("acme", held, reason="read it", request_id="r1")
    before = state(here)
    assert await here.client.release_document("acme", held, reason="read it", request_id="r1") == first
    with pytest.raises(FailedPrecondition) as twice:
        await here.client.release_document("acme", held, reason="read it")
    assert twice.value.reason == "ALREADY_RELEASED"
    with pytest.raises(InvalidArgument) as other:
        await here.client.release_document("acme", held, reason="another", request_id="r1")
    assert other.value.field == "request_id"
    assert state(here) == before


async def test_what_nothing_holds_is_not_released(here: Served) -> None:
    refused = [
        here.world.stopped_document(state=DocumentState.QUARANTINED, reason="DENIED: ingest.secret").document,
        here.world.stopped_document(state=DocumentState.QUARANTINED, reason="BINARY: not text").document,
        (learning := here.world.document().document),
    ]
    forgotten = here.world.held_document().document
    here.registry.unlearning.unlearn("acme", forgotten, actor="ann", reason="")
    here.world.claim()
    waiting = here.world.document().document
    assert here.registry.documents.get("acme", learning).state is DocumentState.LEARNING
    before = state(here)
    for document in (*refused, forgotten, waiting):
        with pytest.raises(FailedPrecondition) as not_held:
            await here.client.release_document("acme", document)
        assert not_held.value.reason == "NOT_HELD"
    assert state(here) == before


async def test_what_is_malformed_or_not_there_changes_nothing(here: Served) -> None:
    held = here.world.held_document("globex").document
    before = state(here)
    for document in (held, "0" * 16):
        with pytest.raises(NotFound):
            await here.client.release_document("acme", document)
    with pytest.raises(InvalidArgument) as long:
        await here.client.release_document("globex", held, reason="x" * 100_000)
    assert long.value.field == "reason"
    async with grpc.aio.insecure_channel(here.address) as channel:
        stub = document_pb2_grpc.DocumentServiceStub(channel)
        for name in ("", "documents/x", "tenants/acme/documents/", "tenants/acme/documents/a/b"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.ReleaseDocument(document_pb2.ReleaseDocumentRequest(name=name), metadata=BEARER)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert state(here) == before
    assert here.registry.documents.get("globex", held).state is DocumentState.HELD
