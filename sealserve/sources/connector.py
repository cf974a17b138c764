"""What every kind of source can do: list what is there now, and fetch one item. The rest is `sync.py`'s."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from sealserve.errors import SealserveError, Unavailable

MAX_KEY_LENGTH = 2000

SYNC_BYTES = "SYNC_BYTES"
"""The reason when one sync may fetch no more; the next one continues."""


class SourceFailed(Unavailable):
    """The source cannot be read now: it is unreachable, refuses, or is not what it should be. The next sync tries
    again.
    """

    reason = "SOURCE_FAILED"


class ItemNotFetched(Unavailable):
    """One item was not fetched; the others can be."""

    reason = "ITEM_NOT_FETCHED"


class ItemFailed(ItemNotFetched):
    """The item cannot be fetched now; the next sync tries again."""

    reason = "ITEM_FAILED"


class ItemRefused(ItemNotFetched):
    """The item cannot be taken as it is: tried again once it has changed."""

    reason = "ITEM_REFUSED"


class ItemGone(ItemNotFetched):
    """The source lists the item, but it is not there."""

    reason = "ITEM_GONE"


_ADVICE: Mapping[str, str] = {
    "NO_ADDRESS": "check the spelling of the host, and the name service of the server's machine",
    "NO_CONNECTION": "check that it runs, and that the server's machine reaches it",
    "BAD_ADDRESS": "remove the source and add it with another location",
    "TIMEOUT": "the next sync tries again; where it is always slow, raise sources.request_seconds",
    "REDIRECTS": "add the source anew with its final address",
    "STATUS_5XX": "the fault is its own; the next sync tries again",
    "DENIED": "set the variable that --secret names to a token or user:password that may read it, and restart serve",
    "TOO_MANY": "lower sources.requests_per_second, or sync less often",
    "ITEM_GONE": "if it has moved, add the source anew; if only some may see it, add the source with --secret",
    "NO_FEED": "give the address of the feed itself, or take the site's pages with --kind sitemap",
    "NO_SITEMAP": "give the address of the sitemap itself, mostly /sitemap.xml; robots.txt may name it",
    "NO_REPOSITORY": "give the folder that holds .git, or a bare repository",
    "BAD_REPOSITORY": "give the address that `git clone` takes",
    "NO_BRANCH": "add the source anew with another --branch",
    "NO_FOLDER": "make it on the server's machine, below sources.local_directory and the tenant's name",
    "NO_EXPORT": "put it on the server's machine, below sources.local_directory and the tenant's name",
    "NO_ARCHIVE": "copy the whole .zip file anew",
    "OBJECT_STORE": "check bucket, region and endpoint of the location, and that the key of --secret may list it",
    "TOO_LARGE": "split it, or raise sources.max_listing_bytes",
    "BAD_CONFIG": "set it where serve starts, and restart serve",
}
"""What to do about a source that cannot be read, by the error's reason."""


def advised(error: SealserveError) -> str:
    """Return the error's message and what to do about it."""
    advice = _ADVICE.get(error.reason, "")
    return f"{error.message}; {advice}" if advice and advice not in error.message else error.message


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedItem:
    """One item that a source has. `key` names it for good; `token` changes when it does, "" if that cannot be told."""

    key: str
    token: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a source has now."""

    items: tuple[ListedItem, ...]
    cursor: str = ""  # handed to the next listing
    fault: str = ""  # why the listing is not all there is: what is missing in it has not left the source


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Nothing has changed since the cursor or the validator was issued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The contents of one item."""

    content: bytes
    media_type: str
    label: str  # where it came from, for the document's lineage
    title: str = ""
    validator: str = ""  # handed to the next fetch of the item


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a connector. Bytes are counted after decompression."""

    max_items: int
    max_item_bytes: int
    max_listing_bytes: int
    max_total_bytes: int
    max_redirects: int
    max_depth: int
    requests_per_second: float
    request_seconds: float
    allow_private_addresses: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """All that a connector knows of its source, in a form that JSON can hold: it is sent to the child process."""

    kind: str
    name: str
    location: str  # an address, or the whole path of a folder or file
    limits: Limits
    secret: str = ""
    include: tuple[str, ...] = ()
    branch: str = ""
    linked_pages: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Spec":
        """Return what `to_json` was given."""
        return cls(**{**fields, "limits": Limits(**fields["limits"]), "include": tuple(fields["include"])})


class Connector(Protocol):
    """One source, opened. Blocking; used by one thread."""

    def listing(self, cursor: str) -> Listing | Unchanged:
        """Return what is there, or that nothing changed since `cursor`; "" always lists. Raises: SourceFailed."""
        ...

    def fetch(self, item: ListedItem, *, validator: str) -> Fetched | Unchanged:
        """Return the item, or that it is what `validator` was given for. Raises: ItemFailed, ItemRefused, ItemGone,
        SourceFailed.
        """
        ...

    def close(self) -> None:
        """Close what was opened."""
        ...
