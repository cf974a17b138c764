"""Page tokens lead on, say nothing of other tenants, and cannot be made up."""

import base64
from typing import Any

import grpc
import grpc.aio
import pytest

from sealserve.client import AsyncClient
from sealserve.errors import InvalidArgument
from sealserve.records.principals import Principal, Role
from sealserve.rpc.page_tokens import SealedPageTokens, position_of, position_token
from sealserve.v1 import approval_pb2, audit_pb2, audit_pb2_grpc, document_pb2, document_pb2_grpc, tenant_pb2
from sealserve.wire.channels import bearer
from tests.rpc.harness import BEARER, Served

KEY = bytes(range(32))
DEEP = base64.b64encode(b"[" * 50_000).decode()
LISTINGS: dict[str, Any] = {
    "DocumentService/ListDocuments": document_pb2.ListDocumentsRequest,
    "AuditService/ListAuditRows": audit_pb2.ListAuditRowsRequest,
    "ApprovalService/ListApprovals": approval_pb2.ListApprovalsRequest,
}


def test_sealed_token_opens_for_its_method_alone() -> None:
    tokens, other = SealedPageTokens(KEY), SealedPageTokens(KEY[::-1])
    response = tenant_pb2.ListTenantsResponse(next_page_token="after acme")
    tokens.seal(response, method="ListTenants")
    request = tenant_pb2.ListTenantsRequest(page_token=response.next_page_token)
    assert "acme" not in str(base64.urlsafe_b64decode(response.next_page_token))
    for refuse in (lambda: other.open(request, method="ListTenants"), lambda: tokens.open(request, method="ListX")):
        with pytest.raises(InvalidArgument):
            refuse()  # type: ignore[no-untyped-call]
    tokens.open(request, method="ListTenants")
    assert request.page_token == "after acme"


@pytest.mark.parametrize("token", ["x", "é", "AAAA", "A" * 100_000, DEEP, position_token("a", 3)])
def test_made_up_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument):
        SealedPageTokens(KEY).open(tenant_pb2.ListTenantsRequest(page_token=token), method="ListTenants")


def test_position_from_a_deep_tree_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        position_of(DEEP, "scope")


@pytest.mark.parametrize("method", LISTINGS)
@pytest.mark.parametrize("token", [DEEP, position_token("tenants/acme", 1)], ids=["deep", "made up"])
async def test_no_page_token_breaks_a_listing(here: Served, method: str, token: str) -> None:
    async with grpc.aio.insecure_channel(here.address) as channel:
        call: Any = channel.unary_unary(f"/sealserve.v1.{method}")
        request = LISTINGS[method](parent="tenants/acme", page_token=token)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request.SerializeToString(), metadata=BEARER)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_pages_lead_through_everything(here: Served) -> None:
    for _ in range(3):
        here.world.document()
    async with grpc.aio.insecure_channel(here.address) as channel:
        documents, audit = document_pb2_grpc.DocumentServiceStub(channel), audit_pb2_grpc.AuditServiceStub(channel)
        token, seen = "", []
        while True:
            page = await documents.ListDocuments(
                document_pb2.ListDocumentsRequest(parent="tenants/acme", page_size=1, page_token=token), metadata=BEARER
            )
            seen += [one.name for one in page.documents]
            token = page.next_page_token
            if not token:
                break
        rows = await audit.ListAuditRows(
            audit_pb2.ListAuditRowsRequest(parent="tenants/acme", page_size=1), metadata=BEARER
        )
    assert len(set(seen)) == 3
    assert rows.next_page_token
    assert rows.rows[0].sequence > 0


async def test_a_tenants_own_is_told_no_count_of_everybodys(here: Served) -> None:
    _, secret = here.registry.tokens.create(Principal(name="acme/a", role=Role.VIEWER, tenants=("acme",)), actor="test")
    here.world.document()
    async with grpc.aio.insecure_channel(here.address) as channel, AsyncClient(here.address, token=secret) as viewer:
        stub = audit_pb2_grpc.AuditServiceStub(channel)
        request = audit_pb2.ListAuditRowsRequest(parent="tenants/acme")
        shown = (await stub.ListAuditRows(request, metadata=bearer(secret))).rows
        info = await viewer.engine_info()
        whole = await here.client.engine_info()
    assert shown
    assert {(row.sequence, row.previous_hash) for row in shown} == {(0, "")}
    assert all(row.hash for row in shown)
    assert (info.replica, info.rebuilds) == ("", 0)
    assert whole.replica
