"""Documents: kept once, by contents; found only by their owner; moved only where allowed."""

from dataclasses import replace

import pytest

from sealserve.errors import FailedPrecondition, InvalidArgument, NotFound, QuotaExceeded
from sealserve.records.cycles import CycleState, Step
from sealserve.records.documents import RELEASED, Document, DocumentState, NewDocument
from tests.registry.world import World, finish


def _add(world: World, **changes: object) -> tuple[Document, bool]:
    options = {name: changes.pop(name) for name in ("readmit", "max_documents") if name in changes}
    new = NewDocument(title="Returns", text="Within 30 days.", source="rpc", media_type="text/plain")
    return world.registry.documents.add("acme", replace(new, **changes), actor="ann", **options)  # type: ignore[arg-type]


def test_document_is_kept_with_its_text_as_given(world: World) -> None:
    text = "  Zurück\r\nin 30 Tagen. \n"
    document, is_new = _add(world, text=text)
    assert is_new
    assert document.state is DocumentState.ADMITTED
    assert document.size_bytes == len(text.encode())
    assert document.document == document.digest[:16]
    assert world.registry.documents.get("acme", document.document) == document
    assert world.registry.documents.text("acme", document.document) == text


@pytest.mark.parametrize("again", ["Zuru\u0308ck in Tagen.", "\nZurück in Tagen.  \r\n", "Zurück in Tagen.\n"])
def test_same_contents_in_another_spelling_are_the_same_document(world: World, again: str) -> None:
    first, _ = _add(world, text="Zurück in Tagen.")
    head = world.registry.audit.head()
    second, is_new = _add(world, text=again)
    assert (second, is_new) == (first, False)
    assert world.registry.audit.head() == head


def test_same_text_under_another_title_is_another_document(world: World) -> None:
    first, _ = _add(world)
    second, is_new = _add(world, title="Refunds")
    assert is_new
    assert first.document != second.document


def test_same_contents_belong_to_each_tenant_alone(world: World) -> None:
    mine = world.document("acme", text="shared words")
    assert world.registry.documents.page("globex").items == ()
    with pytest.raises(NotFound) as refused:
        world.registry.documents.text("globex", mine.document)
    assert "acme" not in refused.value.message


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"text": " \n "}, "text"),
        ({"text": "lone \ud800 surrogate"}, "text"),
        ({"title": "a\0b"}, "title"),
        ({"title": "x" * 1025}, "title"),
        ({"source": "a\nb"}, "source"),
        ({"media_type": "\x1b[31m"}, "media_type"),
        ({"state": DocumentState.LEARNED}, "state"),
    ],
)
def test_malformed_document_is_refused_and_nothing_is_kept(
    world: World, changes: dict[str, object], field: str
) -> None:
    head = world.registry.audit.head()
    with pytest.raises(InvalidArgument) as refused:
        _add(world, **changes)
    assert refused.value.field == field
    assert world.registry.documents.page("acme").items == ()
    assert world.registry.audit.head() == head


def test_document_of_an_unknown_tenant_leaves_no_bytes_behind(world: World) -> None:
    with pytest.raises(NotFound):
        world.document("nobody")
    assert [path for path in (world.directory / "artifacts").rglob("*") if path.is_file()] == []


def test_unreadable_document_is_quarantined_with_its_bytes(world: World) -> None:
    raw = b"%PDF-\xff\xfe broken"
    kept = {"title": "scan.pdf", "text": "", "state": DocumentState.QUARANTINED, "reason": "no text layer", "raw": raw}
    document, is_new = _add(world, **kept)
    assert (document.state, document.reason, is_new) == (DocumentState.QUARANTINED, "no text layer", True)
    assert _add(world, **kept) == (document, False)
    assert world.registry.artifacts.get_bytes(document.digest) == raw
    assert world.registry.documents.tenants_with_admitted() == ()


def test_quarantined_documents_without_text_differ_by_source(world: World) -> None:
    first, _ = _add(world, text="", source="file:a.pdf", state=DocumentState.QUARANTINED, reason="empty")
    second, is_new = _add(world, text="", source="file:b.pdf", state=DocumentState.QUARANTINED, reason="empty")
    assert is_new
    assert first.document != second.document


def test_unreadable_document_is_not_released(world: World) -> None:
    unreadable = world.stopped_document(state=DocumentState.QUARANTINED, reason="BINARY: not text")
    head = world.registry.audit.head()
    with pytest.raises(FailedPrecondition) as refused:
        world.registry.documents.release("acme", unreadable.document, actor="bea", reason="")
    assert refused.value.reason == "NOT_HELD"
    assert world.registry.documents.get("acme", unreadable.document) == unreadable
    assert world.registry.audit.head() == head


def test_held_document_is_listed_and_released(world: World) -> None:
    held = world.held_document()
    world.stopped_document(state=DocumentState.QUARANTINED, reason="BINARY: not text")
    assert world.registry.documents.page("acme", state=DocumentState.HELD).items == (held,)
    assert world.registry.documents.tenants_with_admitted() == ()
    released = world.registry.documents.release("acme", held.document, actor="bea", reason="read it")
    assert (released.state, released.reason) == (DocumentState.ADMITTED, RELEASED)
    assert world.registry.documents.page("acme", state=DocumentState.HELD).items == ()


def test_waiting_documents_are_held_unless_a_person_released_them(world: World) -> None:
    released, waiting = world.held_document(), world.document()
    world.registry.documents.release("acme", released.document, actor="bea", reason="read it")
    names = [released.document, waiting.document]
    assert world.registry.documents.hold("acme", names, reason="like d1", actor="ann") == (waiting.document,)
    found = world.registry.documents.get("acme", waiting.document)
    assert (found.state, found.reason) == (DocumentState.HELD, "like d1")


def test_document_set_aside_is_admitted_again_when_it_is_added_again(world: World) -> None:
    document = world.document(text="Once more.")
    claim = world.claim()
    world.registry.cycles.record_step(claim, Step.JUDGE, {}, seconds=1, effects=[finish(CycleState.REJECTED)])
    assert world.registry.documents.get("acme", document.document).state is DocumentState.SET_ASIDE
    again, is_new = _add(world, text="Once more.")
    assert (again.document, again.state, is_new) == (document.document, DocumentState.ADMITTED, True)
    assert world.registry.audit.rows()[-1].action == "document.readmit"


def test_source_that_offers_everything_again_does_not_bring_back_what_was_withdrawn(world: World) -> None:
    document = world.document(text="Taken back.")
    world.version()
    world.registry.versions.rollback("acme", expected_etag=None, actor="ann", reason="wrong")
    head = world.registry.audit.head()
    again, is_new = _add(world, text="Taken back.", readmit=False)
    assert (again.document, again.state, is_new) == (document.document, DocumentState.WITHDRAWN, False)
    assert world.registry.audit.head() == head


def test_learned_document_added_again_stays_learned(world: World) -> None:
    document = world.document(text="Known.")
    world.version()
    assert _add(world, text="Known.") == (world.registry.documents.get("acme", document.document), False)


def test_document_beyond_the_tenants_limit_is_refused(world: World) -> None:
    _add(world, max_documents=1)
    with pytest.raises(QuotaExceeded):
        _add(world, text="One too many.", max_documents=1)
    assert _add(world, max_documents=1)[1] is False
    assert len(world.registry.documents.page("acme").items) == 1


def test_listing_filters_by_state_in_order_of_arrival(world: World) -> None:
    learned = world.document()
    world.version()
    waiting = [world.document().document for _ in range(3)]
    admitted = world.registry.documents.page("acme", state=DocumentState.ADMITTED, page_size=2)
    rest = world.registry.documents.page(
        "acme", state=DocumentState.ADMITTED, page_size=2, page_token=admitted.next_page_token
    )
    assert [document.document for document in (*admitted.items, *rest.items)] == waiting
    found = world.registry.documents.page("acme", state=DocumentState.LEARNED).items
    assert [document.document for document in found] == [learned.document]


def test_documents_are_counted_by_state_over_all_tenants(world: World) -> None:
    world.document()
    world.document("globex")
    world.version()
    counts = world.registry.documents.counts()
    assert set(counts) == set(DocumentState)
    assert {state: count for state, count in counts.items() if count} == {
        DocumentState.ADMITTED: 1,
        DocumentState.LEARNED: 1,
    }


def test_a_few_lines_wait_for_more(world: World) -> None:
    _add(world, text="Returns take nine days.")
    assert world.registry.documents.tenants_with_admitted(min_bytes=100) == ()
    assert world.registry.documents.tenants_with_admitted() == ("acme",)
    _add(world, text="Gift cards cannot be returned. " * 4, title="Gift cards")
    assert world.registry.documents.tenants_with_admitted(min_bytes=100) == ("acme",)
