"""Reads RSS and Atom feeds: their entries, or the pages that the entries link to."""

import hashlib
import html
import io

import feedparser

from sealserve.sources.connector import (
    MAX_KEY_LENGTH,
    SYNC_BYTES,
    Fetched,
    ItemFailed,
    ItemGone,
    ItemNotFetched,
    ItemRefused,
    ListedItem,
    Listing,
    SourceFailed,
    Spec,
    Unchanged,
)
from sealserve.sources.web_client import WebClient

_ACCEPT = "application/atom+xml, application/rss+xml, application/xml;q=0.9, text/xml;q=0.8, */*;q=0.5"


class FeedConnector:
    """A feed. The text of its entries comes with the listing; linked pages are fetched one by one."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._client = WebClient(spec.limits, secret=spec.secret, home=spec.location)
        self._entries: dict[str, feedparser.FeedParserDict] = {}

    def listing(self, cursor: str) -> Listing | Unchanged:
        """Raises: SourceFailed (also: no feed, too large)."""
        limits = self._spec.limits
        try:
            response = self._client.get(
                self._spec.location, max_bytes=limits.max_listing_bytes, validator=cursor, extra={"accept": _ACCEPT}
            )
        except ItemNotFetched as error:
            raise SourceFailed(f"the feed: {error.message}", reason=error.reason) from error
        if response.body is None:
            return Unchanged()
        headers = {"content-type": response.headers.get("content-type", ""), "content-location": response.url}
        feed = feedparser.parse(io.BytesIO(response.body), response_headers=headers)  # bytes may name a file
        if not feed.version and not feed.entries:
            raise SourceFailed(f"{self._spec.location} is no RSS or Atom feed", reason="NO_FEED")
        self._entries = {key: entry for entry in feed.entries if (key := _key(entry))}
        items = [self._item(key, entry) for key, entry in self._entries.items()][: limits.max_items]
        left_out = len(self._entries) - len(items)
        fault = f"more than {limits.max_items} entries: {left_out} are not taken" if left_out else ""
        cursor = "" if self._spec.linked_pages else response.validator  # pages change without their feed
        return Listing(items=tuple(items), cursor=cursor, fault=fault)

    def fetch(self, item: ListedItem, *, validator: str) -> Fetched | Unchanged:
        """Raises: ItemNotFetched, SourceFailed."""
        if item.key not in self._entries:
            self.listing("")
        entry = self._entries.get(item.key)
        if entry is None:
            raise ItemGone(f"{item.key}: it is not in the feed any more")
        link = str(entry.get("link", ""))
        if self._spec.linked_pages:
            return fetch_page(self._client, link or item.key, spec=self._spec, validator=validator)
        body = _body(entry)
        if not body:
            raise ItemRefused(f"{item.key}: the entry has no text; linked pages may be taken instead", reason="EMPTY")
        title = str(entry.get("title", "")).strip()
        page = f"<html><head><meta charset=utf-8><title>{html.escape(title)}</title></head><body>{body}</body></html>"
        content = page.encode("utf-8", "replace")
        if len(content) > self._spec.limits.max_item_bytes:
            raise ItemRefused(f"{item.key}: more than {self._spec.limits.max_item_bytes} bytes", reason="TOO_LARGE")
        label = item.key if item.key == link or not link else f"{link}#{_mark(item.key)}"
        return Fetched(content=content, media_type="text/html; charset=utf-8", label=label, title=title)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _item(self, key: str, entry: feedparser.FeedParserDict) -> ListedItem:
        dated = str(entry.get("updated", "") or entry.get("published", ""))
        said = f"{dated}\0{entry.get('title', '')}\0{_body(entry)}"
        return ListedItem(
            key=key, token="" if self._spec.linked_pages else _mark(said), title=str(entry.get("title", ""))
        )


def fetch_page(client: WebClient, url: str, *, spec: Spec, validator: str) -> Fetched | Unchanged:
    """Return a page, obeying robots.txt. Raises: ItemNotFetched, SourceFailed."""
    try:
        response = client.get(url, max_bytes=spec.limits.max_item_bytes, validator=validator, obey_robots=True)
    except SourceFailed as error:
        if error.reason == SYNC_BYTES:
            raise
        raise ItemFailed(error.message, reason=error.reason) from error
    if response.body is None:
        return Unchanged()
    media_type = response.headers.get("content-type", "").strip() or "text/html"
    return Fetched(content=response.body, media_type=media_type, label=url, validator=response.validator)


def _key(entry: feedparser.FeedParserDict) -> str:
    return str(entry.get("id", "") or entry.get("link", ""))[:MAX_KEY_LENGTH]


def _mark(text: str) -> str:
    """Return a digest that tells entries with the same link apart: each needs its own label."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _body(entry: feedparser.FeedParserDict) -> str:
    """Return the entry's longest text as HTML: its content, else its summary."""
    parts = [(str(part.get("value", "")), str(part.get("type", ""))) for part in entry.get("content", [])]
    if "summary" in entry:
        parts.append((str(entry.summary), str(entry.get("summary_detail", {}).get("type", ""))))
    text, kind = max(parts, key=lambda part: len(part[0]), default=("", ""))
    return f"<pre>{html.escape(text)}</pre>" if kind == "text/plain" and text else text
