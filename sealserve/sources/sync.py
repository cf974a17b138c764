"""One sync of one source: receives what is new or changed, and unlearns what left a mirrored source.

Each item's outcome is recorded before the next item is fetched, so a sync that is cut off is resumed by the next one.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from sealserve.errors import CallerError, LeaseLost, NotFound, QuotaExceeded, SealserveError
from sealserve.intake.inbox import Inbox
from sealserve.records.documents import LEFT, REPLACED, Document, DocumentState
from sealserve.records.sources import ItemState, Source, SourceItem, SyncCounts, SyncReport
from sealserve.records.validation import MAX_LABEL_LENGTH
from sealserve.registry.registry import Registry
from sealserve.settings.sources import SourceSettings
from sealserve.sources.connector import (
    SYNC_BYTES,
    Connector,
    Fetched,
    ItemGone,
    ItemNotFetched,
    ItemRefused,
    ListedItem,
    Listing,
    SourceFailed,
    Unchanged,
    advised,
)
from sealserve.telemetry.names import LogEvent

_LOG = structlog.get_logger(__name__)

MAX_FAILURES_IN_ROW = 20
"""So many consecutive failures end a sync: the source is unreachable, and further attempts would fail as well."""

_NEVER = datetime.min.replace(tzinfo=UTC)
_SETTLED = frozenset({ItemState.RECEIVED, ItemState.REFUSED})
_WAITS = frozenset({DocumentState.HELD, DocumentState.QUARANTINED, DocumentState.FORGOTTEN})
"""States of a new version in which the earlier version is not unlearned yet, because the new one is not admitted."""

Forget = Callable[[str, str, str], object]
"""Unlearns (tenant, document) for a reason."""


@dataclass(slots=True)
class _Tally:
    """What a sync has done so far."""

    received: int = 0
    unchanged: int = 0
    refused: int = 0
    failed: int = 0
    gone: int = 0
    forgotten: int = 0
    failures_in_row: int = 0
    bytes: int = 0

    def counts(self, *, listed: int) -> SyncCounts:
        """Return it as it is shown."""
        return SyncCounts(
            listed=listed,
            received=self.received,
            unchanged=self.unchanged,
            refused=self.refused,
            failed=self.failed,
            gone=self.gone,
            forgotten=self.forgotten,
        )


class ItemStore:
    """Turns the items of one source into documents, and unlearns those of a mirrored one. Blocking."""

    def __init__(self, source: Source, *, registry: Registry, inbox: Inbox, forget: Forget) -> None:
        self._source = source
        self._registry = registry
        self._inbox = inbox
        self._forget = forget
        self.forgotten = 0

    def receive(self, item: SourceItem, fetched: Fetched, *, title: str) -> SourceItem:
        """Return the item with the document that was made of what was fetched; it is recorded.

        Raises: SealserveError (it cannot be stored now).
        """
        digest = hashlib.sha256(fetched.content).hexdigest()
        received = replace(
            item,
            validator=fetched.validator,
            content_digest=digest,
            size_bytes=len(fetched.content),
            attempts=0,
            reason="",
        )
        if digest == item.content_digest and item.state is ItemState.RECEIVED:
            return self._registry.sources.record(received)
        document, is_new = self._inbox.receive_version(
            item.tenant,
            fetched.content,
            media_type=fetched.media_type,
            title=_line(fetched.title or title),
            source=_label(fetched.label),
            actor=_actor(self._source.name),
        )
        return self._registry.sources.record(self._with_document(received, document, is_new=is_new))

    def leave(self, item: SourceItem) -> None:
        """Record that the item left the source; unlearn its documents if the source is mirrored."""
        sources = self._registry.sources
        if not self._source.mirror:
            sources.record(replace(item, state=ItemState.GONE, reason="it left the source", token="", validator=""))
            return
        documents = (*item.superseded, *((item.document,) if item.document and item.is_own else ()))
        gone = replace(item, state=ItemState.GONE, superseded=(), token="", validator="", content_digest="")
        sources.record(replace(gone, superseded=documents, reason="it left the source"))
        for document in documents:
            self._drop(item.tenant, document, because=f"{LEFT} {self._source.name}")
        sources.record(replace(gone, reason="it left the source; what was learned of it is forgotten"))

    def settle(self, item: SourceItem) -> SourceItem:
        """Unlearn the item's earlier versions once a newer one is admitted. Mirrored sources only."""
        if not item.superseded or not item.document:
            return item
        is_gone = item.state is ItemState.GONE  # a sync was cut off while it forgot
        if not is_gone and self._registry.documents.get(item.tenant, item.document).state in _WAITS:
            return item
        because = LEFT if is_gone else f"{REPLACED} {item.document} in"
        for document in item.superseded:
            self._drop(item.tenant, document, because=f"{because} {self._source.name}")
        return self._registry.sources.record(replace(item, superseded=()))

    def _with_document(self, item: SourceItem, document: Document, *, is_new: bool) -> SourceItem:
        name = document.document
        is_own = is_new or self._registry.sources.is_own(item.tenant, name)
        is_other = bool(item.document) and item.document != name
        earlier = (item.document,) if is_other and item.is_own and self._source.mirror else ()
        superseded = tuple(one for one in dict.fromkeys((*item.superseded, *earlier)) if one != name)
        return replace(item, state=ItemState.RECEIVED, document=name, is_own=is_own, superseded=superseded)

    def _drop(self, tenant: str, document: str, *, because: str) -> None:
        """Unlearn a document that no item has any more."""
        is_forgotten = self._registry.documents.get(tenant, document).state is DocumentState.FORGOTTEN
        if not is_forgotten and not self._registry.sources.uses(tenant, document):
            self._forget(tenant, document, because)
            self.forgotten += 1


class Sync:
    """One sync. Blocking; run once."""

    def __init__(
        self,
        source: Source,
        connector: Connector,
        *,
        registry: Registry,
        store: ItemStore,
        settings: SourceSettings,
        keep_lease: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`keep_lease` raises LeaseLost when somebody else may sync the source by now."""
        self._source = source
        self._connector = connector
        self._registry = registry
        self._store = store
        self._settings = settings
        self._keep_lease = keep_lease
        self._clock = clock
        self._tally = _Tally()
        self._listed = 0
        self._vanished: dict[str, SourceItem] = {}

    def run(self) -> SyncReport:
        """Do as much as one sync may, and return how it ended. Raises: LeaseLost, NotFound (the source is deleted)."""
        source = self._source
        known = self._registry.sources.known(source.tenant, source.name)
        has_failed = any(item.state is ItemState.FAILED for item in known.values()) or bool(source.alarm)
        try:
            listing = self._connector.listing("" if has_failed else source.cursor)
            if isinstance(listing, Unchanged):
                here = [item for item in known.values() if item.state is not ItemState.GONE]
                self._listed = self._tally.unchanged = len(here)
                self._settle(known.values())
                return self._report(cursor=source.cursor)
            return self._take(listing, known)
        except (LeaseLost, NotFound):
            raise
        except SealserveError as error:
            if error.reason == SYNC_BYTES and self._tally.bytes:
                return self._report(is_partial=True)
            return self._report(error=advised(error), alarm=source.alarm)

    def _take(self, listing: Listing, known: Mapping[str, SourceItem]) -> SyncReport:
        items = {key: replace(item, key=key) for item in listing.items if (key := _stored(item.key))}
        self._listed = len(items)
        started, is_partial = self._clock(), False
        for item in sorted(items.values(), key=lambda one: _checked_at(known.get(one.key))):
            self._keep_lease()
            if (
                self._clock() - started > self._settings.max_sync_seconds
                or self._tally.bytes > self._settings.max_sync_bytes
            ):
                is_partial = True
            if is_partial:
                break
            self._take_item(item, known.get(item.key))
        alarm = self._source.alarm
        if not listing.fault and not is_partial:
            gone = {key: item for key, item in known.items() if key not in items and item.state is not ItemState.GONE}
            alarm = self._remove(gone | self._vanished, known)
        self._settle(self._registry.sources.known(self._source.tenant, self._source.name).values())
        is_whole = not (listing.fault or is_partial or self._tally.failed or alarm)
        cursor = listing.cursor if is_whole else ""
        return self._report(cursor=cursor, error=listing.fault, alarm=alarm, is_partial=is_partial)

    def _take_item(self, item: ListedItem, known: SourceItem | None) -> None:
        """Fetch and store one item if it may have changed. Raises: SourceFailed, LeaseLost, NotFound, StorageFailed."""
        source = self._source
        if known is not None and item.token and known.token == item.token and known.state in _SETTLED:
            self._tally.unchanged += 1
            return
        before = known or SourceItem(tenant=source.tenant, source=source.name, key=item.key, state=ItemState.FAILED)
        now = replace(before, token=item.token)
        is_held = before.state is ItemState.RECEIVED
        try:
            fetched = self._connector.fetch(item, validator=before.validator if is_held else "")
            if isinstance(fetched, Unchanged):
                self._registry.sources.record(now)
                self._tally.unchanged += 1
            else:
                self._tally.bytes += len(fetched.content)
                self._count(before, self._store.receive(now, fetched, title=item.title))
            self._tally.failures_in_row = 0
        except ItemGone as error:
            self._vanish(item, before, error)
        except (ItemRefused, CallerError) as error:
            if isinstance(error, NotFound):
                raise
            self._fail(now, error, is_final=not isinstance(error, QuotaExceeded))
        except ItemNotFetched as error:
            self._fail(before, error, is_final=False)

    def _count(self, before: SourceItem, after: SourceItem) -> None:
        if after.content_digest == before.content_digest:
            self._tally.unchanged += 1
        else:
            self._tally.received += 1

    def _vanish(self, item: ListedItem, before: SourceItem, error: ItemGone) -> None:
        if before.document:
            self._vanished[item.key] = before
        else:
            self._fail(before, error, is_final=False)

    def _fail(self, item: SourceItem, error: SealserveError, *, is_final: bool) -> None:
        """Record why there is no new version of the item. What it said before stays."""
        reason = f"{error.reason}: {error.message}"[:MAX_LABEL_LENGTH]
        state = ItemState.REFUSED if is_final else ItemState.FAILED
        self._registry.sources.record(replace(item, state=state, reason=reason, attempts=item.attempts + 1))
        if is_final:
            self._tally.refused += 1
            self._tally.failures_in_row = 0
            return
        self._tally.failed += 1
        self._tally.failures_in_row += 1
        if self._tally.failures_in_row >= MAX_FAILURES_IN_ROW:
            raise SourceFailed(f"{MAX_FAILURES_IN_ROW} items in a row failed, the last with: {error.message}")

    def _remove(self, gone: Mapping[str, SourceItem], known: Mapping[str, SourceItem]) -> str:
        """Remove what left the source; return the reason if that is too much at once and nothing is removed."""
        here = [item for item in known.values() if item.state is not ItemState.GONE]
        most = max(1, int(self._settings.max_vanished_share * len(here)))
        lost = self._lost(gone) if self._source.mirror else 0
        if lost > most and not self._source.removals_accepted:
            alarm = f"{lost} of {len(here)} items are not there any more, and at most {most} are forgotten at once"
            _LOG.error(LogEvent.SOURCE_ALARMED, tenant=self._source.tenant, source=self._source.name, error=alarm)
            return f"{alarm}: look at the source, then run `sealserve source sync --accept-removals`"
        for item in gone.values():
            self._keep_lease()
            self._store.leave(item)
            self._tally.gone += 1
        return ""

    def _lost(self, gone: Mapping[str, SourceItem]) -> int:
        """Return how many of `gone` have a document that no item has under another name: a rename loses nothing."""
        items = self._registry.sources.known(self._source.tenant, self._source.name)
        here = (item for key, item in items.items() if key not in gone and item.state is not ItemState.GONE)
        kept = {"", *(item.document for item in here)}
        return sum(item.document not in kept for item in gone.values())

    def _settle(self, items: Iterable[SourceItem]) -> None:
        if not self._source.mirror:
            return
        for item in items:
            self._store.settle(item)

    def _report(self, *, cursor: str = "", error: str = "", alarm: str = "", is_partial: bool = False) -> SyncReport:
        self._tally.forgotten = self._store.forgotten
        return SyncReport(
            counts=self._tally.counts(listed=self._listed),
            cursor=cursor,
            error=error[:MAX_LABEL_LENGTH],
            alarm=alarm,
            is_partial=is_partial,
        )


def _checked_at(item: SourceItem | None) -> datetime:
    """Order by when an item was last checked: never first, then the longest ago."""
    return _NEVER if item is None or item.checked_at is None else item.checked_at


def _line(text: str) -> str:
    """Return `text` as a label: one line, unprintable characters replaced."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown[:MAX_LABEL_LENGTH]


def _label(text: str) -> str:
    """Return a label that is unique to the item: documents of the same label are versions of one another."""
    line = _line(text)
    if line == text:
        return line
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{line[: MAX_LABEL_LENGTH - len(mark) - 1]}#{mark}"


def _stored(key: str) -> str:
    """Return a key as the registry stores it: a name may contain any bytes, text in a database may not."""
    return "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in key)


def _actor(name: str) -> str:
    return f"source:{name}"
