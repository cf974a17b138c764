"""The one door: what is sent is kept, admitted or quarantined, on a real registry."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sealserve.errors import InvalidArgument, NotFound, QuotaExceeded
from sealserve.intake.inbox import Inbox
from sealserve.records.documents import Document, DocumentState
from sealserve.registry.registry import Registry
from sealserve.settings.settings import IntakeSettings
from sealserve.telemetry.names import LogEvent
from tests.fakes import PermissiveEnforcer
from tests.intake.samples import SENTENCE, pdf

SETTINGS = IntakeSettings(max_file_bytes=2000, max_text_bytes=2000, max_documents_per_tenant=5)
QUARANTINED = DocumentState.QUARANTINED


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    registry = Registry.open(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "artifacts")
    registry.tenants.create("acme", actor="test")
    yield registry
    registry.close()


@pytest.fixture
def inbox(registry: Registry) -> Inbox:
    return Inbox(registry, SETTINGS, refuse=PermissiveEnforcer().refuse_document)


def _send(inbox: Inbox, content: bytes, *, media_type: str = "text/plain", title: str = "") -> tuple[Document, bool]:
    return inbox.receive("acme", content, media_type=media_type, title=title, actor="test")


def _held(registry: Registry) -> int:
    return len(registry.documents.page("acme").items)


def test_a_document_is_admitted_with_its_text_normalised(registry: Registry, inbox: Inbox) -> None:
    document, is_new = _send(inbox, b"\xef\xbb\xbfReturn policy\r\nLa\xe2\x80\x8bmps go back.")
    assert (document.state, document.title, document.source, is_new) == (
        DocumentState.ADMITTED, "Return policy", "rpc", True,
    )  # fmt: skip
    assert registry.documents.text("acme", document.document) == "Return policy\nLamps go back."


def test_the_title_given_wins_over_the_documents_own(inbox: Inbox) -> None:
    markdown = b"# Own title\nText"
    assert _send(inbox, markdown, media_type="text/markdown", title=" Given\ntitle ")[0].title == "Given title"
    assert _send(inbox, markdown, media_type="text/markdown")[0].title == "Own title"


@pytest.mark.parametrize(("source", "title"), [("file:acme/Ferry fares.csv", "Ferry fares"), ("rpc", "Who: Adult")])
def test_a_table_is_called_by_its_file(inbox: Inbox, source: str, title: str) -> None:
    content = b"Who,Price\nAdult,9\n"
    document, _ = inbox.receive("acme", content, media_type="text/csv", source=source, actor="test")
    assert document.title == title


@pytest.mark.parametrize(
    ("content", "source", "title"),
    [
        ("1\n00:00:01,000 --> 00:00:04,200\nThe dam was opened in 1963.", "file:acme/Dam.txt", "Dam"),
        ("1\n00:00:01,000 --> 00:00:04,200\nThe dam was opened in 1963.", "rpc", "The dam was opened in 1963."),
        ("BEGIN:VCALENDAR\nSUMMARY:Kiln course", "file:acme/Kiln course.txt", "Kiln course"),
        ("[1/2] Fares\nAdults pay nine crowns.", "file:acme/a.txt", "[1/2] Fares"),
        ("退货\n退货需要九天。", "file:acme/a.txt", "退货"),
        ("12\n45", "rpc", "12"),
    ],
)
def test_a_first_line_that_says_nothing_is_no_title(inbox: Inbox, content: str, source: str, title: str) -> None:
    document, _ = inbox.receive("acme", content.encode(), media_type="text/plain", source=source, actor="test")
    assert document.title == title


def test_the_same_document_again_is_the_same_document(registry: Registry, inbox: Inbox) -> None:
    first, is_new = _send(inbox, b"Lamps go back.\n")
    again, is_new_again = _send(inbox, b"Lamps go back.  \r\n\r\n")
    assert (is_new, is_new_again) == (True, False)
    assert again == first
    assert _held(registry) == 1


@pytest.mark.parametrize(
    ("content", "media_type", "defect"),
    [
        (bytes(range(256)), "text/plain", "BINARY"),
        ("Größe".encode("latin-1"), "text/plain", "ENCODING"),
        (b"words", "application/\x00msword", "UNKNOWN_MEDIA_TYPE"),
        (b"%PDF-1.4 rubbish", "application/pdf", "BROKEN"),
        ("words\U000e0041".encode(), "text/plain", "HIDDEN_TEXT"),
        (b" \n \n", "text/plain", "NO_TEXT"),
        ("\u0958".encode() * 600, "text/plain", "TOO_LONG"),
    ],
)
def test_what_cannot_be_learned_is_kept_with_its_bytes_and_a_reason(
    registry: Registry, inbox: Inbox, content: bytes, media_type: str, defect: str
) -> None:
    document, is_new = _send(inbox, content, media_type=media_type, title="odd")
    assert (document.state, is_new, document.title) == (QUARANTINED, True, "odd")
    word, advice = document.reason.split(": ", 1)
    assert (word, bool(advice)) == (defect, True)
    assert registry.artifacts.get_bytes(document.digest) == content
    assert registry.documents.tenants_with_admitted() == ()


def test_two_quarantined_documents_are_two_documents(registry: Registry, inbox: Inbox) -> None:
    first, _ = _send(inbox, b"\x00one")
    second, _ = _send(inbox, b"\x00two")
    again, is_new = _send(inbox, b"\x00one")
    assert (again.document, is_new, _held(registry)) == (first.document, False, 2)
    assert second.document != first.document


@pytest.mark.parametrize(
    ("content", "reason", "says"),
    [(b"", "EMPTY", "empty"), (b"x" * 2001, "TOO_LARGE", "2000"), (b"x" * 100_000_000, "TOO_LARGE", "100000000")],
    ids=["empty", "a byte too many", "a hundred megabytes"],
)
def test_an_empty_or_huge_document_is_refused_and_nothing_is_kept(
    registry: Registry, inbox: Inbox, content: bytes, reason: str, says: str
) -> None:
    before = registry.audit.rows()
    with pytest.raises(InvalidArgument, match=says) as caught:
        _send(inbox, content)
    assert (caught.value.field, caught.value.reason) == ("content", reason)
    assert registry.audit.rows() == before


def test_a_document_of_exactly_the_limit_is_taken(inbox: Inbox) -> None:
    assert _send(inbox, b"x" * 2000)[0].state is DocumentState.ADMITTED


def test_a_file_may_be_larger_than_the_text_in_it(registry: Registry) -> None:
    settings = IntakeSettings(max_file_bytes=50_000, max_text_bytes=100)
    roomy = Inbox(registry, settings, refuse=PermissiveEnforcer().refuse_document)
    padded = pdf(title="Policy").replace(b"%%EOF", b"%" + b"x" * 20_000 + b"\n%%EOF")
    assert _send(roomy, padded, media_type="application/pdf")[0].state is DocumentState.ADMITTED
    too_long, _ = _send(roomy, b"word " * 200)
    assert too_long.reason == "TOO_LONG: its text has 999 bytes, of 100 at most (intake.max_text_bytes); split it"


def test_a_refused_file_names_the_limit_and_its_setting(inbox: Inbox) -> None:
    with pytest.raises(InvalidArgument, match=r"2001 bytes, of 2000 at most \(intake.max_file_bytes\); split it"):
        _send(inbox, b"x" * 2001)


def test_an_unknown_tenant_is_refused_before_anything_is_read(inbox: Inbox) -> None:
    with pytest.raises(NotFound):
        inbox.receive("nobody", b"", media_type="text/plain", actor="test")


def test_a_tenants_quota_holds_for_quarantined_documents_too(registry: Registry, inbox: Inbox) -> None:
    for number in range(5):
        _send(inbox, b"\x00%d" % number)
    with pytest.raises(QuotaExceeded):
        _send(inbox, b"one more")
    assert _held(registry) == 5


def test_a_pdf_and_its_text_travel_one_path(registry: Registry, inbox: Inbox) -> None:
    document, _ = _send(inbox, pdf(title="Policy"), media_type="application/pdf")
    assert (document.title, document.media_type) == ("Policy", "application/pdf")
    assert registry.documents.text("acme", document.document) == SENTENCE


def test_nothing_that_was_written_reaches_the_log(inbox: Inbox) -> None:
    with capture_logs() as lines:
        _send(inbox, b"very secret words", title="secret title")
    assert [line["event"] for line in lines] == [LogEvent.DOCUMENT_RECEIVED]
    assert "secret" not in str(lines)
