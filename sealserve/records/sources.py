"""Sources: where a tenant's documents come from by themselves, and what became of each item there."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from sealserve.errors import InvalidArgument
from sealserve.records.validation import MAX_LABEL_LENGTH, require_line

NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?", re.ASCII)
MAX_LOCATION_LENGTH = 2000
MAX_PATTERNS = 32
MIN_INTERVAL_SECONDS, MAX_INTERVAL_SECONDS = 60.0, 30 * 86_400.0

_SECRET_NAME = re.compile(r"[A-Z0-9]+(?:_[A-Z0-9]+)*", re.ASCII)


class SourceKind(StrEnum):
    """What a source is; its location is of the form after the dash."""

    DIRECTORY = "directory"  # a folder of the server - a path below sources.local_directory/<tenant>
    EXPORT = "export"  # pages as Confluence or Zendesk export them, a folder, zip or JSON file - a path, as above
    FEED = "feed"  # RSS or Atom - https://…
    SITEMAP = "sitemap"  # pages that a sitemap, or an index of sitemaps, lists - https://…
    OBJECTS = "objects"  # an object store - s3://bucket/prefix
    GIT = "git"  # files at the tip of a branch - https://… or a path, as above
    WEBHOOK = "webhook"  # items are sent to the server - no location


class ItemState(StrEnum):
    """What became of an item of a source."""

    RECEIVED = "received"  # its document says what happens to it from there
    REFUSED = "refused"  # not taken until it changes: empty, too large, a name that cannot be kept
    FAILED = "failed"  # could not be fetched or stored; tried again at the next sync
    GONE = "gone"  # left the source; its document is forgotten if the source is mirrored, else it stays


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSource:
    """A source as somebody describes it."""

    name: str
    kind: SourceKind
    location: str = ""
    mirror: bool = False  # what left the source is forgotten, and what an item said before
    interval_seconds: float = 3600.0  # between two syncs
    secret_variable: str = ""  # of the server's environment; see `require_sound`
    include: tuple[str, ...] = ()  # patterns of item keys, as fnmatch has them; none: every format that can be read
    branch: str = ""  # of a git repository; empty: its default branch
    linked_pages: bool = False  # of a feed: the page of each entry is taken rather than the entry

    def require_sound(self, tenant: str) -> None:
        """Return if the source can be kept. Raises: InvalidArgument, naming the field."""
        if not NAME.fullmatch(self.name):
            text = "the name of a source has 1 to 40 lower-case letters, digits and hyphens, and begins with a letter"
            raise InvalidArgument(text, field="source_id")
        for label, limit in (("location", MAX_LOCATION_LENGTH), ("branch", MAX_LABEL_LENGTH)):
            require_line(getattr(self, label), field=label, max_length=limit)
        if not MIN_INTERVAL_SECONDS <= self.interval_seconds <= MAX_INTERVAL_SECONDS:
            text = f"interval_seconds must be between {MIN_INTERVAL_SECONDS:g} and {MAX_INTERVAL_SECONDS:g}"
            raise InvalidArgument(text, field="interval_seconds")
        if len(self.include) > MAX_PATTERNS:
            raise InvalidArgument(f"at most {MAX_PATTERNS} patterns may be given", field="include")
        for pattern in self.include:
            require_line(pattern, field="include", max_length=200)
        self._require_location()
        self._require_secret(tenant)
        if self.mirror and self.kind is SourceKind.FEED:
            text = "a feed lists its newest entries only, so what left it cannot be told: use a sitemap, or no mirror"
            raise InvalidArgument(text, field="mirror")

    def _require_location(self) -> None:
        if "@" in self.location.partition("://")[2].partition("/")[0]:
            text = "location holds credentials: put them into a variable, and its name into secret_variable"
            raise InvalidArgument(text, field="location")
        web = _is_web_address(self.location)
        fits = {
            SourceKind.FEED: web,
            SourceKind.SITEMAP: web,
            SourceKind.OBJECTS: self.location.startswith("s3://"),
            SourceKind.WEBHOOK: not self.location,
            SourceKind.GIT: web or _is_path(self.location),
        }
        if not fits.get(self.kind, bool(self.location)):
            text = {
                SourceKind.OBJECTS: "s3://bucket/prefix",
                SourceKind.WEBHOOK: "empty: items are sent to the server",
                SourceKind.GIT: "an https:// address, or a path below sources.local_directory",
                SourceKind.DIRECTORY: "a path below sources.local_directory",
                SourceKind.EXPORT: "a path below sources.local_directory",
            }.get(self.kind, "an https:// address")
            raise InvalidArgument(f"the location of a source of kind {self.kind} is {text}", field="location")

    def _require_secret(self, tenant: str) -> None:
        """A name must lie in the tenant's own part of the environment: else it could be sent anything of the server."""
        prefix = secret_prefix(tenant)
        own = self.secret_variable.removeprefix(prefix)
        if self.secret_variable and (own == self.secret_variable or not _SECRET_NAME.fullmatch(own)):
            text = f"secret_variable must be {prefix}NAME, NAME of capital letters, digits and single underscores"
            raise InvalidArgument(text, field="secret_variable")
        if self.kind is SourceKind.WEBHOOK and not self.secret_variable:
            text = f"a webhook needs the variable with its signing key: {prefix}NAME"
            raise InvalidArgument(text, field="secret_variable")


def _is_web_address(location: str) -> bool:
    """Return whether the location is an address with a host."""
    try:
        return location.startswith(("https://", "http://")) and bool(urlsplit(location).hostname)
    except ValueError:  # such as an IPv6 address without its closing bracket
        return False


def _is_path(location: str) -> bool:
    """Return whether the location may be a path: neither another kind of address nor `git@host:path`."""
    return bool(location) and "://" not in location and "@" not in location.partition("/")[0]


def secret_prefix(tenant: str) -> str:
    """Return how the names of a tenant's secrets in the environment begin."""
    return f"SOURCE_{tenant.upper().replace('-', '_')}__"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncCounts:
    """What one sync did, in items."""

    listed: int = 0
    received: int = 0  # new, or changed
    unchanged: int = 0
    refused: int = 0
    failed: int = 0
    gone: int = 0
    forgotten: int = 0  # documents


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source and how its last sync went."""

    tenant: str
    name: str
    kind: SourceKind
    location: str
    mirror: bool
    interval_seconds: float
    secret_variable: str
    include: tuple[str, ...]
    branch: str
    linked_pages: bool
    created_by: str
    created_at: datetime
    next_sync_at: datetime | None  # None: a webhook, which waits for what is sent
    started_at: datetime | None = None  # of the last sync; later than finished_at: it runs, or its process ended
    finished_at: datetime | None = None
    failures: int = 0  # syncs in a row
    error: str = ""  # of the last sync
    alarm: str = ""  # why documents are not forgotten: too many items left the source at once
    removals_accepted: bool = False  # the next sync may forget what raised the alarm
    counts: SyncCounts = field(default_factory=SyncCounts)
    cursor: str = ""  # what the connector wants to be told at the next sync


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceItem:
    """One item of a source, and the document that was made of it."""

    tenant: str
    source: str
    key: str  # the item's name at its source: an address, a path
    state: ItemState
    reason: str = ""
    document: str = ""  # id; "" as long as none was made
    is_own: bool = False  # the document came by sources only: it may be forgotten when it leaves them
    superseded: tuple[str, ...] = ()  # documents of earlier versions that are still to be forgotten
    token: str = ""  # what the listing said of its version
    validator: str = ""  # what the server said of its version: ETag or Last-Modified
    content_digest: str = ""
    size_bytes: int = 0
    attempts: int = 0  # failed ones in a row
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """How a sync ended."""

    counts: SyncCounts
    cursor: str = ""
    error: str = ""
    alarm: str = ""
    is_partial: bool = False  # a limit of one sync was reached: the rest follows soon
