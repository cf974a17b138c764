"""A watched directory, with real files and a real registry; time is told by the test."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sealserve.errors import StorageFailed
from sealserve.intake import watched_directory
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
        self.inbox = Inbox(registry, IntakeSettings(max_file_bytes=5000), refuse=PermissiveEnforcer().refuse_document)
        self.source = DirectorySource(self.inbox, directory, pace=Pace(settle_seconds=1.0), clock=self.clock)

    def write(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
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
    watched.write("acme/e.markdown", b"# Opening hours\nNine to five.")
    watched.write("acme/f.HTM", page("<p>The door is red and the floor is blue.</p>", title="Colours"))
    watched.settle()
    assert {source: document.state for source, document in watched.documents().items()} == {
        f"file:acme/{name}": DocumentState.ADMITTED
        for name in ("a.md", "b.TXT", "c.html", "d.pdf", "e.markdown", "f.HTM")
    }
    assert watched.documents()["file:acme/c.html"].title == "Page"
    assert watched.documents()["file:acme/e.markdown"].title == "Opening hours"
    assert watched.documents()["file:acme/f.HTM"].title == "Colours"


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


def _warnings(lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return what was named, and why."""
    return [(line["source"], line["reason"]) for line in lines if line["event"] == LogEvent.FILE_IGNORED]


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("acme/a.odt", ("file:acme/a.odt", "UNKNOWN_SUFFIX")),
        ("acme/a.md.part", ("file:acme/a.md.part", "UNKNOWN_SUFFIX")),
        ("acme/a", ("file:acme/a", "UNKNOWN_SUFFIX")),
        ("a.txt", ("file:a.txt", "NO_TENANT_FOLDER")),
        ("acme/deeper/a.txt", ("file:acme/deeper", "NESTED_FOLDER")),
    ],
)
def test_what_is_no_document_is_left_alone_and_named_once(
    watched: _Watched, name: str, warning: tuple[str, str]
) -> None:
    watched.write(name, b"words")
    with capture_logs() as lines:
        watched.settle()
        watched.settle()
    assert watched.documents() == {}
    assert _warnings(lines) == [warning]


def test_hidden_files_are_left_alone_in_silence(watched: _Watched) -> None:
    watched.write("acme/.a.txt", b"words")
    watched.write(".trash/a.txt", b"words")
    with capture_logs() as lines:
        watched.settle()
    assert (watched.documents(), lines) == ({}, [])


@pytest.mark.parametrize("place", ["acme/a.txt", "acme"])
def test_a_link_out_of_the_directory_is_not_followed(watched: _Watched, tmp_path: Path, place: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.txt").write_text("private words")
    link = watched.directory / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "outside" / "a.txt" if link.suffix else tmp_path / "outside")
    with capture_logs() as lines:
        watched.settle()
    assert watched.documents() == {}
    assert _warnings(lines) == [(f"file:{place}", "LINK_OUTSIDE")]


def test_links_inside_the_directory_are_followed_as_kubernetes_mounts_and_swaps_them(watched: _Watched) -> None:
    watched.write("acme/..2026/c.md", b"First words.")
    folder = watched.directory / "acme"
    (folder / "..data").symlink_to("..2026")
    (folder / "c.md").symlink_to("..data/c.md")
    watched.settle()
    watched.write("acme/..2027/c.md", b"Second words.")
    (folder / "..tmp").symlink_to("..2027")
    os.replace(folder / "..tmp", folder / "..data")
    watched.settle()
    texts = [
        watched.registry.documents.text("acme", one.document) for one in watched.registry.documents.page("acme").items
    ]
    assert sorted(texts) == ["First words.", "Second words."]


def test_a_pipe_is_not_waited_for(watched: _Watched) -> None:
    (watched.directory / "acme").mkdir()
    os.mkfifo(watched.directory / "acme" / "a.txt")
    with capture_logs() as lines:
        watched.settle()
    assert _warnings(lines) == [("file:acme/a.txt", "NO_PLAIN_FILE")]


def test_a_folder_that_cannot_be_read_is_named_once_and_holds_up_nothing(
    watched: _Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = watched.write("lost+found/a.txt", b"Lost words.").parent
    watched.write("acme/a.txt", b"Words.")
    with capture_logs() as lines, monkeypatch.context() as patched:
        _lock(patched, locked)
        watched.settle()
        watched.settle()
    assert _warnings(lines) == [("file:lost+found", "UNREADABLE")]
    assert list(watched.documents()) == ["file:acme/a.txt"]


def test_a_file_that_cannot_be_opened_is_named_once_and_taken_when_it_can(
    watched: _Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = watched.write("acme/a.txt", b"Words.")
    with capture_logs() as lines, monkeypatch.context() as patched:
        _lock(patched, path)
        watched.settle()
        watched.settle()
    assert [line["source"] for line in lines if line["event"] == LogEvent.FILE_NOT_RECEIVED] == ["file:acme/a.txt"]
    watched.settle()
    assert list(watched.documents()) == ["file:acme/a.txt"]


def _lock(patched: pytest.MonkeyPatch, locked: Path) -> None:
    """Refuse to open or list `locked`; modes do not stop root, as which tests may run."""
    for name in ("open", "listdir"):
        really = getattr(os, name)

        def refuse(path: Any, *rest: Any, really: Any = really) -> Any:
            if Path(path) == locked:
                raise PermissionError(13, "Permission denied", str(path))
            return really(path, *rest)

        patched.setattr(os, name, refuse)


def test_tenants_take_turns_and_slow_files_end_a_look(watched: _Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def receive(tenant: str, *_: Any, source: str, **__: Any) -> None:
        taken.append(source)
        watched.clock.now += 8.0

    monkeypatch.setattr(watched.inbox, "receive_version", receive)
    for name in ("acme/a.txt", "acme/b.txt", "acme/c.txt", "globex/a.txt"):
        watched.write(name, b"Words.")
    watched.settle()
    assert taken == ["file:acme/a.txt", "file:globex/a.txt"]
    watched.source.look([])
    assert taken[2:] == ["file:acme/b.txt", "file:acme/c.txt"]


def test_an_unchanged_file_is_read_once_and_a_changed_one_again(watched: _Watched) -> None:
    path = watched.write("acme/a.txt", b"First words.")
    watched.settle()
    watched.settle()
    assert len(watched.documents()) == 1
    path.write_bytes(b"Second words, which are longer.")
    watched.settle()
    assert len(watched.registry.documents.page("acme").items) == 2


def test_a_file_that_is_saved_again_and_again_is_one_document(watched: _Watched) -> None:
    """Editors save by renaming, slow writers pause, Kubernetes swaps links: only the newest version waits."""
    for n in range(3):
        saved = watched.write("acme/.a.txt.swp", f"The lamp costs {n} crowns.".encode())
        os.replace(saved, watched.directory / "acme" / "a.txt")
        watched.settle()
    found = watched.registry.documents.page("acme").items
    assert [one.state for one in found].count(DocumentState.ADMITTED) == 1
    assert found[-1].state is DocumentState.ADMITTED
    assert {one.reason for one in found[:-1]} <= {f"replaced by {one.document}" for one in found[1:]}


def test_a_version_that_is_saved_back_is_the_newest_again(watched: _Watched) -> None:
    for text in (b"The lamp costs 45 crowns.", b"The lamp costs 50 crowns, and no less.", b"The lamp costs 45 crowns."):
        watched.write("acme/a.txt", text)
        watched.settle()
    first, second = watched.registry.documents.page("acme").items
    assert (first.state, second.state) == (DocumentState.ADMITTED, DocumentState.SET_ASIDE)


def test_a_version_that_cannot_be_read_does_not_replace_the_one_before(watched: _Watched) -> None:
    watched.write("acme/a.txt", b"The lamp costs 45 crowns.")
    watched.settle()
    watched.write("acme/a.txt", b"\0\1\2\3 rubbish")
    watched.settle()
    states = [one.state for one in watched.registry.documents.page("acme").items]
    assert states == [DocumentState.ADMITTED, DocumentState.QUARANTINED]


def test_what_a_cycle_has_claimed_is_not_replaced(watched: _Watched) -> None:
    watched.write("acme/a.txt", b"The lamp costs 45 crowns.")
    watched.settle()
    watched.registry.cycles.start("acme", trigger="test", actor="test", max_documents=5)
    watched.write("acme/a.txt", b"The lamp costs 50 crowns, and no less.")
    watched.settle()
    states = [one.state for one in watched.registry.documents.page("acme").items]
    assert states == [DocumentState.LEARNING, DocumentState.ADMITTED]


def test_files_whose_names_look_alike_do_not_replace_each_other(watched: _Watched) -> None:
    (watched.directory / "acme").mkdir()
    for byte, text in ((b"\x80", b"The lamp costs 45 crowns."), (b"\x81", b"The door is red.")):
        with open(os.fsencode(watched.directory / "acme") + b"/a" + byte + b".txt", "wb") as file:
            file.write(text)
    watched.settle()
    states = [one.state for one in watched.registry.documents.page("acme").items]
    assert states == [DocumentState.ADMITTED, DocumentState.ADMITTED]


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
    assert (
        found["file:acme/huge.txt"].reason
        == "TOO_LARGE: 10000 bytes, of 5000 at most (intake.max_file_bytes); split it"
    )
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


@pytest.mark.parametrize("error", [OSError(24, "inotify instance limit reached"), RuntimeError("Too many open files")])
async def test_without_change_events_the_directory_is_looked_at_now_and_then(
    watched: _Watched, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def exhausted(*_: Any, **__: Any) -> AsyncIterator[None]:
        if error:
            raise error
        yield

    monkeypatch.setattr(watched_directory, "awatch", exhausted)
    received, stop = asyncio.Event(), asyncio.Event()
    inbox = _Telling(watched.registry, IntakeSettings(), refuse=PermissiveEnforcer().refuse_document)
    inbox.tell(received)
    pace = Pace(settle_seconds=0.05, wake_seconds=0.05, rescan_seconds=0.1)
    with capture_logs() as lines:
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(DirectorySource(inbox, watched.directory, pace=pace).watch(stop))
            watched.write("acme/a.txt", b"Words.")
            await received.wait()
            stop.set()
    assert list(watched.documents()) == ["file:acme/a.txt"]
    assert [line["error"] for line in lines if line["event"] == LogEvent.DIRECTORY_NOT_WATCHED] == [str(error)]


async def test_a_missing_directory_is_waited_for(watched: _Watched) -> None:
    received, stop = asyncio.Event(), asyncio.Event()
    inbox = _Telling(watched.registry, IntakeSettings(), refuse=PermissiveEnforcer().refuse_document)
    inbox.tell(received)
    pace = Pace(settle_seconds=0.05, wake_seconds=0.05, rescan_seconds=0.1)
    with capture_logs() as lines:
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(DirectorySource(inbox, watched.directory / "late", pace=pace).watch(stop))
            while not any(line["event"] == LogEvent.DIRECTORY_NOT_WATCHED for line in lines):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            folder = watched.directory / "late" / "acme"
            folder.mkdir(parents=True)
            (folder / "a.txt").write_text("Words.")
            await received.wait()
            stop.set()
    assert list(watched.documents()) == ["file:acme/a.txt"]
