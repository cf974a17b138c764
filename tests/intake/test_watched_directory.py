"""A watched directory, with real files and a real registry; time is told by the test."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sealserve.errors import BadConfig, StorageFailed
from sealserve.intake.inbox import Inbox
from sealserve.intake.watched_directory import DirectorySource, Pace
from sealserve.records.documents import Document, DocumentState
from sealserve.registry.registry import Registry
from sealserve.settings.settings import IntakeSettings
from sealserve.telemetry.names import LogEvent
from tests.fakes import PermissiveEnforcer
from tests.intake.samples import SENTENCE, page, pdf


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class _Watched:
    """A directory, what feeds from it, and a clock that moves when told."""

    def __init__(self, registry: Registry, directory: Path) -> None:
        self.registry = registry
        self.directory = directory
        self.clock = _Clock()
        self.inbox = Inbox(
            registry, IntakeSettings(max_document_bytes=5000), refuse=PermissiveEnforcer().refuse_document
        )
        self.source = DirectorySource(self.inbox, directory, pace=Pace(settle_seconds=1.0), clock=self.clock)

    def write(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    def settle(self) -> None:
        """Look, let a second pass, look again."""
        self.source.look()
        self.clock.now += 1.0
        self.source.look()

    def documents(self) -> dict[str, Document]:
        return {document.source: document for document in self.registry.documents.page("acme").items}


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[_Watched]:
    registry = Registry.open(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "artifacts")
    registry.tenants.create("acme", actor="test")
    (tmp_path / "in").mkdir()
    yield _Watched(registry, tmp_path / "in")
    registry.close()


def test_every_format_is_taken_under_its_tenant(watched: _Watched) -> None:
    watched.write("acme/a.md", b"# Policy\nLamps go back.")
    watched.write("acme/b.TXT", b"Chairs stay.")
    watched.write("acme/c.html", page(f"<p>{SENTENCE}</p>", title="Page"))
    watched.write("acme/d.pdf", pdf())
    watched.settle()
    assert {source: document.state for source, document in watched.documents().items()} == {
        f"file:acme/{name}": DocumentState.ADMITTED for name in ("a.md", "b.TXT", "c.html", "d.pdf")
    }
    assert watched.documents()["file:acme/c.html"].title == "Page"


def test_a_file_still_being_written_is_left_until_it_keeps_still(watched: _Watched) -> None:
    path = watched.write("acme/a.txt", b"Half a")
    watched.source.look()
    watched.clock.now += 0.9
    path.write_bytes(b"Half a sentence is now whole.")
    watched.clock.now += 0.9
    watched.source.look()
    assert watched.documents() == {}
    watched.settle()
    (document,) = watched.documents().values()
    assert watched.registry.documents.text("acme", document.document) == "Half a sentence is now whole."


@pytest.mark.parametrize("name", ["acme/.a.txt", "acme/a.docx", "acme/a", "a.txt", "acme/deeper/a.txt"])
def test_what_is_no_document_is_left_alone(watched: _Watched, name: str) -> None:
    (watched.directory / "acme" / "deeper").mkdir(parents=True)
    watched.write(name, b"words")
    watched.settle()
    assert watched.documents() == {}


def test_a_link_out_of_the_directory_is_not_followed(watched: _Watched, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("private words")
    (watched.directory / "acme").mkdir()
    (watched.directory / "acme" / "a.txt").symlink_to(tmp_path / "outside.txt")
    watched.settle()
    assert watched.documents() == {}


def test_an_unchanged_file_is_read_once_and_a_changed_one_again(watched: _Watched) -> None:
    path = watched.write("acme/a.txt", b"First words.")
    watched.settle()
    watched.settle()
    assert len(watched.documents()) == 1
    path.write_bytes(b"Second words, which are longer.")
    watched.settle()
    assert len(watched.registry.documents.page("acme").items) == 2


def test_a_copy_under_another_name_is_the_same_document(watched: _Watched) -> None:
    watched.write("acme/a.txt", b"Same words.")
    watched.write("acme/b.txt", b"Same words.\r\n")
    watched.settle()
    assert list(watched.documents()) == ["file:acme/a.txt"]


def test_a_restart_does_not_learn_a_withdrawn_document_again(watched: _Watched) -> None:
    watched.write("acme/a.txt", b"Words.")
    watched.settle()
    before = watched.registry.audit.rows()
    second = _Watched(watched.registry, watched.directory)
    second.settle()
    assert watched.registry.audit.rows() == before


def test_a_file_that_cannot_be_read_or_is_too_large_is_quarantined_by_name(watched: _Watched) -> None:
    watched.write("acme/bad.pdf", b"%PDF-1.4 rubbish")
    watched.write("acme/huge.txt", b"word " * 2000)
    watched.write("acme/good.txt", b"Good words.")
    watched.settle()
    found = watched.documents()
    assert {document.state for document in found.values()} == {DocumentState.QUARANTINED, DocumentState.ADMITTED}
    assert found["file:acme/bad.pdf"].reason.startswith("BROKEN: ")
    assert found["file:acme/huge.txt"].reason == "TOO_LARGE: 10000 bytes exceed the limit of 5000; split it"
    assert found["file:acme/good.txt"].state is DocumentState.ADMITTED


def test_an_empty_file_is_refused_aloud_and_holds_up_nothing(watched: _Watched) -> None:
    watched.write("acme/a.txt", b"")
    watched.write("acme/b.txt", b"Words.")
    with capture_logs() as lines:
        watched.settle()
    assert [line["reason"] for line in lines if line["event"] == LogEvent.FILE_REFUSED] == ["EMPTY"]
    assert list(watched.documents()) == ["file:acme/b.txt"]


def test_files_of_an_unknown_tenant_wait_for_it_and_are_warned_of_once(watched: _Watched) -> None:
    watched.write("later/a.txt", b"Words.")
    watched.write("later/b.txt", b"More words.")
    with capture_logs() as lines:
        watched.settle()
        watched.settle()
    assert [line["tenant"] for line in lines if line["log_level"] == "warning"] == ["later"]
    watched.registry.tenants.create("later", actor="test")
    watched.settle()
    assert len(watched.registry.documents.page("later").items) == 2


def test_a_failing_store_loses_no_file(watched: _Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise StorageFailed("the disk is full; free some space")

    watched.write("acme/a.txt", b"Words.")
    with monkeypatch.context() as patched:
        patched.setattr(watched.registry.documents, "add", full)
        watched.settle()
    assert watched.documents() == {}
    watched.settle()
    assert list(watched.documents()) == ["file:acme/a.txt"]


def test_a_name_that_is_no_text_is_shown_as_well_as_can_be(watched: _Watched) -> None:
    folder = watched.directory / "acme"
    folder.mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/gr\xf6\nss.txt")).write_text("Words.")
    watched.settle()
    assert list(watched.documents()) == ["file:acme/gr\ufffd\ufffdss.txt"]


def test_a_file_deleted_before_it_settled_is_forgotten(watched: _Watched) -> None:
    path = watched.write("acme/a.txt", b"Words.")
    watched.source.look()
    path.unlink()
    watched.clock.now += 1.0
    watched.source.look()
    assert watched.documents() == {}


class _Telling(Inbox):
    """An inbox that says when it has received."""

    def tell(self, event: asyncio.Event) -> None:
        self._event, self._loop = event, asyncio.get_running_loop()

    def receive(self, *arguments: Any, **keywords: Any) -> tuple[Document, bool]:
        try:
            return super().receive(*arguments, **keywords)
        finally:
            self._loop.call_soon_threadsafe(self._event.set)


async def test_the_watch_takes_what_is_there_then_what_comes_then_stops(watched: _Watched) -> None:
    received, stop = asyncio.Event(), asyncio.Event()
    inbox = _Telling(watched.registry, IntakeSettings(), refuse=PermissiveEnforcer().refuse_document)
    inbox.tell(received)
    source = DirectorySource(inbox, watched.directory, pace=Pace(settle_seconds=0.05, wake_seconds=0.05))
    watched.write("acme/before.txt", b"Words before.")
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(source.watch(stop))
        await received.wait()
        received.clear()
        written_aside = watched.write("acme/.after.txt.part", b"Words after.")
        os.replace(written_aside, watched.directory / "acme" / "after.txt")
        await received.wait()
        stop.set()
    assert set(watched.documents()) == {"file:acme/before.txt", "file:acme/after.txt"}


async def test_a_missing_directory_is_a_settings_error(watched: _Watched) -> None:
    source = DirectorySource(watched.inbox, watched.directory / "missing")
    with pytest.raises(BadConfig, match=r"intake\.watch_directory"):
        await source.watch(asyncio.Event())
