"""A registry and an inbox behind the sources of a tenant."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sealserve.intake.inbox import Inbox
from sealserve.intake.sandbox import Sandbox
from sealserve.records.documents import Document, DocumentState
from sealserve.records.sources import ItemState, NewSource, Source, SourceItem, SourceKind, SyncReport
from sealserve.registry.registry import Registry
from sealserve.settings.settings import IntakeSettings
from sealserve.settings.sources import SourceSettings
from sealserve.sources.connector import Connector
from sealserve.sources.source_runner import forgetting
from sealserve.sources.sync import ItemStore, Sync
from tests.fakes import PermissiveEnforcer
from tests.registry.world import FakeClock

NEW = NewSource(name="site", kind=SourceKind.SITEMAP, location="https://docs.example.com/sitemap.xml", mirror=True)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One process that reads documents, for every test here."""
    made = Sandbox()
    yield made
    made.close()


@dataclass(kw_only=True)
class Shop:
    """The tenant acme, its inbox, and the moves that tests of sources make."""

    registry: Registry
    inbox: Inbox
    clock: FakeClock
    settings: SourceSettings

    def add(self, new: NewSource = NEW) -> Source:
        """Keep a source."""
        return self.registry.sources.create("acme", new, actor="ann", max_sources=20)

    def sync(self, connector: Connector, *, name: str = "site", settings: SourceSettings | None = None) -> SyncReport:
        """Sync once, an hour after the last time."""
        self.clock.advance(3600.0)
        source = self.registry.sources.begin("acme", name)
        store = ItemStore(
            source, registry=self.registry, inbox=self.inbox, forget=forgetting(self.registry, source.name)
        )
        sync = Sync(
            source,
            connector,
            registry=self.registry,
            store=store,
            settings=settings or self.settings,
            keep_lease=lambda: None,
        )
        report = sync.run()
        self.registry.sources.finish("acme", name, report, next_after_seconds=60.0)
        return report

    def documents(self) -> dict[str, DocumentState]:
        """The state of every document, by the text it was stored with or, once it is forgotten, by its id."""
        return {one.document: one.state for one in self.registry.documents.page("acme", page_size=1000).items}

    def document_of(self, key: str, *, name: str = "site") -> Document:
        """The document that an item has now."""
        item = self.item(key, name=name)
        return self.registry.documents.get("acme", item.document)

    def item(self, key: str, *, name: str = "site") -> SourceItem:
        """What is known of an item."""
        found = self.registry.sources.item("acme", name, key)
        assert found is not None
        return found

    def states(self, *, name: str = "site") -> dict[str, ItemState]:
        """The state of every item, by its key."""
        return {key: item.state for key, item in self.registry.sources.known("acme", name).items()}


@pytest.fixture
def shop(tmp_path: Path, sandbox: Sandbox) -> Iterator[Shop]:
    clock = FakeClock()
    registry = Registry.open(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "artifacts", clock=clock)
    registry.tenants.create("acme", actor="ann")
    settings = IntakeSettings(max_file_bytes=20_000, max_documents_per_tenant=100)
    inbox = Inbox(registry, settings, refuse=PermissiveEnforcer().refuse_document, sandbox=sandbox)
    yield Shop(registry=registry, inbox=inbox, clock=clock, settings=SourceSettings())
    registry.close()
