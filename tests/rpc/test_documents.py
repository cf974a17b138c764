"""Documents over the wire: what is taken, what is refused, and that nothing taken is lost."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sealserve.client import AsyncClient, Client, NewDocument
from sealserve.client.calls.documents import STREAM_DOCUMENTS, read_outcome
from sealserve.errors import CorruptArtifact, InvalidArgument, NotFound, QuotaExceeded, SealserveError, StorageFailed
from sealserve.intake.inbox import Inbox
from sealserve.records.documents import Document, DocumentState
from sealserve.v1 import document_pb2
from tests.rpc.harness import ADMIN_SECRET, BEARER, Served

ARTICLE = "The harbour office is open on weekdays. It closes at five."


async def test_document_is_admitted_and_can_be_read_back(here: Served) -> None:
    document, is_new = await here.client.add_document("acme", ARTICLE, title="Harbour", source="handbook/harbour.md")
    assert is_new
    assert (document.state, document.title, document.source) == (
        DocumentState.ADMITTED,
        "Harbour",
        "handbook/harbour.md",
    )
    assert await here.client.document("acme", document.document) == document
    assert ARTICLE in await here.client.document_text("acme", document.document)
    assert [found async for found in here.client.documents("acme")] == [document]


async def test_same_contents_again_are_the_same_document(here: Served) -> None:
    first, _ = await here.client.add_document("acme", ARTICLE)
    again, is_new = await here.client.add_document("acme", ARTICLE)
    assert not is_new
    assert again == first


async def test_bytes_that_cannot_be_read_are_kept_and_say_why(here: Served) -> None:
    document, _ = await here.client.add_document("acme", bytes(range(256)) * 8, media_type="text/plain", title="Blob")
    assert document.state is DocumentState.QUARANTINED
    assert document.reason


@pytest.mark.parametrize(("body", "reason"), [("", "EMPTY"), (b"", "EMPTY"), ("x" * 200_000, "TOO_LARGE")])
async def test_empty_or_too_large_document_is_refused(here: Served, body: str | bytes, reason: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await here.client.add_document("acme", body)
    assert refused.value.reason == reason
    assert [found async for found in here.client.documents("acme")] == []


async def test_hundred_megabytes_are_refused_before_a_byte_is_sent(here: Served) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await here.client.add_document("acme", b"x" * 100 * 2**20)
    assert refused.value.reason == "TOO_LARGE"
    assert "intake.max_file_bytes" in refused.value.message


async def test_message_larger_than_the_servers_bound_is_told_as_too_large(here: Served) -> None:
    with Client(here.address, token=ADMIN_SECRET, max_message_bytes=2**26) as careless:
        with pytest.raises(InvalidArgument) as refused:
            await asyncio.to_thread(careless.add_document, "acme", "x" * 2**22)
    assert refused.value.reason == "TOO_LARGE"


@pytest.mark.parametrize("is_text", [True, False])
async def test_a_file_larger_than_a_message_comes_in_pieces(here: Served, is_text: bool) -> None:
    body = "\n\n".join(f"Pier {number} of the harbour has {number * 7} berths." for number in range(2200))
    assert len(body) > 90_000
    async with AsyncClient(here.address, token=ADMIN_SECRET, max_message_bytes=2**16) as narrow:
        document, is_new = await narrow.add_document("acme", body if is_text else body.encode(), title="Piers")
        small = NewDocument(body=ARTICLE)
        outcomes = [outcome async for outcome in narrow.add_documents("acme", [NewDocument(body=body), small])]
    assert (document.state, is_new, document.size_bytes) == (DocumentState.ADMITTED, True, len(body))
    assert await here.client.document_text("acme", document.document) == body
    assert [_kind(outcome) for outcome in outcomes] == ["new", "new"]


async def test_pieces_above_the_servers_limit_are_refused_and_the_next_document_is_taken(here: Served) -> None:
    new = [NewDocument(body="x" * 200_000), NewDocument(body=ARTICLE)]
    async with AsyncClient(here.address, token=ADMIN_SECRET, max_message_bytes=2**16) as narrow:
        outcomes = [outcome async for outcome in narrow.add_documents("acme", new)]
    assert [_kind(outcome) for outcome in outcomes] == ["TOO_LARGE", "new"]
    assert [found.title async for found in here.client.documents("acme")] == [ARTICLE[:200]]


async def test_a_stream_that_ends_within_a_document_says_so_and_keeps_nothing(here: Served) -> None:
    call = here.client._channel.stream_stream(**STREAM_DOCUMENTS)
    document = document_pb2.AddDocumentRequest(parent="tenants/acme", content=b"The first half of")
    requests = [document_pb2.StreamDocumentsRequest(document=document, has_more=True)]
    (outcome,) = [read_outcome(one) async for one in call(iter(requests), metadata=BEARER)]
    assert isinstance(outcome, InvalidArgument)
    assert outcome.reason == "INCOMPLETE"
    assert [found async for found in here.client.documents("acme")] == []


async def test_document_without_a_body_is_refused_by_name(here: Served) -> None:
    request = document_pb2.AddDocumentRequest(parent="tenants/acme", title="Nothing")
    call = here.client._channel.unary_unary(
        "/sealserve.v1.DocumentService/AddDocument",
        request_serializer=document_pb2.AddDocumentRequest.SerializeToString,
        response_deserializer=document_pb2.AddDocumentResponse.FromString,
    )
    with pytest.raises(Exception, match="set text or content"):
        await call(request, metadata=BEARER)


async def test_bad_documents_of_a_stream_do_not_lose_the_others(here: Served) -> None:
    bodies = [ARTICLE, "", "Another article about the pier. It is long.", "x" * 200_000, ARTICLE]
    outcomes = [
        outcome async for outcome in here.client.add_documents("acme", [NewDocument(body=body) for body in bodies])
    ]
    assert [_kind(outcome) for outcome in outcomes] == ["new", "EMPTY", "new", "TOO_LARGE", "known"]
    assert len([found async for found in here.client.documents("acme")]) == 2


async def test_stream_for_a_stranger_says_so_for_each(here: Served) -> None:
    (outcome,) = [found async for found in here.client.add_documents("nobody", [NewDocument(body=ARTICLE)])]
    assert isinstance(outcome, NotFound)


async def test_documents_beyond_the_tenants_quota_are_refused(here: Served) -> None:
    for number in range(8):
        here.world.document(text=f"Article number {number} is about the pier.")
    with pytest.raises(QuotaExceeded) as refused:
        await here.client.add_document("acme", ARTICLE)
    assert refused.value.reason == "QUOTA_EXCEEDED"


async def test_slow_documents_of_one_tenant_hold_up_nobody_elses(here: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    over, receive = threading.Event(), Inbox.receive

    def slow(inbox: Inbox, tenant: str, content: bytes, **options: Any) -> tuple[Document, bool]:
        if tenant == "acme":
            over.wait(30)
        return receive(inbox, tenant, content, **options)

    monkeypatch.setattr(Inbox, "receive", slow)
    hanging = [asyncio.ensure_future(here.client.add_document("acme", f"{ARTICLE} {n}")) for n in range(8)]
    try:
        document, _ = await asyncio.wait_for(here.client.add_document("globex", ARTICLE), 20)
        assert document.state is DocumentState.ADMITTED
        assert not any(one.done() for one in hanging)
    finally:
        over.set()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_tenant_sees_only_its_own(here: Served) -> None:
    document, _ = await here.client.add_document("acme", ARTICLE)
    with pytest.raises(NotFound):
        await here.client.document("globex", document.document)
    assert [found async for found in here.client.documents("globex")] == []


async def test_listing_can_be_narrowed_to_a_state(here: Served) -> None:
    await here.client.add_document("acme", ARTICLE)
    await here.client.add_document("acme", bytes(range(256)) * 8)
    states = [found.state async for found in here.client.documents("acme", state=DocumentState.QUARANTINED)]
    assert states == [DocumentState.QUARANTINED]


def test_synchronous_client_streams_documents_lazily() -> None:
    taken = []

    def documents() -> Iterator[NewDocument]:
        taken.append(1)
        yield NewDocument(body=ARTICLE)

    with Client("127.0.0.1:1", timeout_seconds=1) as nobody_there, pytest.raises(SealserveError):
        list(nobody_there.add_documents("acme", documents()))
    assert len(taken) <= 1


def _kind(outcome: tuple[Document, bool] | SealserveError) -> str:
    if isinstance(outcome, SealserveError):
        return outcome.reason
    return "new" if outcome[1] else "known"


@pytest.mark.parametrize("new", [NewDocument(body="\ud800"), NewDocument(body="x", title="\udcff")])
async def test_text_that_is_not_unicode_is_refused_before_it_is_sent(here: Served, new: NewDocument) -> None:
    with pytest.raises(InvalidArgument, match="not valid Unicode"):
        await here.client.add_document("acme", new.body, title=new.title)
    with pytest.raises(InvalidArgument, match="not valid Unicode"):
        await here.client.ask("acme", "\udcff")


async def test_text_that_was_damaged_on_disk_is_never_shown(here: Served, tmp_path: Path) -> None:
    document, _ = await here.client.add_document("acme", ARTICLE)
    for blob in (tmp_path / "artifacts" / "blobs").rglob("*"):
        if blob.is_file():
            blob.chmod(0o600)
            blob.write_text("something else")
    with pytest.raises(CorruptArtifact):
        await here.client.document_text("acme", document.document)


async def test_locked_database_is_told_as_storage_and_nothing_is_half_done(here: Served, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "registry.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageFailed) as refused:
            await here.client.add_document("acme", ARTICLE)
        other.execute("ROLLBACK")
    assert str(tmp_path) not in refused.value.message
    assert [found async for found in here.client.documents("acme")] == []
    assert (await here.client.add_document("acme", ARTICLE))[1]
