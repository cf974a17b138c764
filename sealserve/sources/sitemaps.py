"""Reads sitemaps and the pages they list (sitemaps.org, protocol 0.9), including indexes, plain text and gzip."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from sealserve.sources.connector import (
    MAX_KEY_LENGTH,
    Fetched,
    ItemNotFetched,
    ItemRefused,
    ListedItem,
    Listing,
    SourceFailed,
    Spec,
    Unchanged,
)
from sealserve.sources.feeds import fetch_page
from sealserve.sources.item_names import is_included
from sealserve.sources.web_client import WebClient, unzip

MAX_SITEMAPS = 500


NO_SITEMAP = "NO_SITEMAP"
_ROOTS = frozenset({"urlset", "sitemapindex"})


@dataclass(slots=True)
class _Found:
    """What the sitemaps list that were read so far."""

    pages: dict[str, str] = field(default_factory=dict)  # the address, and when it was modified
    faults: list[str] = field(default_factory=list)
    sitemaps: set[str] = field(default_factory=set)


class SitemapConnector:
    """The pages of a site, as its sitemap lists them. Pages of other hosts are not taken."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._client = WebClient(spec.limits, secret=spec.secret, home=spec.location)

    def listing(self, cursor: str) -> Listing | Unchanged:
        """Raises: SourceFailed (the first sitemap cannot be read). A later one only makes the listing incomplete."""
        found = _Found()
        try:
            self._read(self._spec.location, found, depth=1)
        except ItemNotFetched as error:
            raise SourceFailed(f"the sitemap: {error.message}", reason=error.reason) from error
        items = tuple(ListedItem(key=url, token=modified) for url, modified in found.pages.items())
        return Listing(items=items, fault="; ".join(found.faults[:3]))

    def fetch(self, item: ListedItem, *, validator: str) -> Fetched | Unchanged:
        """Raises: ItemNotFetched, SourceFailed."""
        return fetch_page(self._client, item.key, spec=self._spec, validator=validator)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _read(self, url: str, found: _Found, *, depth: int) -> None:
        limits = self._spec.limits
        found.sitemaps.add(url)
        body = self._client.get(url, max_bytes=limits.max_listing_bytes).body or b""
        if body.startswith(b"\x1f\x8b"):
            body = unzip(body, max_bytes=limits.max_listing_bytes)
        for is_sitemap, location, modified in _entries(body, url=url):
            target = _address_of(location, base=url)
            if not target:
                continue
            if is_sitemap:
                self._descend(target, found, depth=depth + 1)
            elif self._is_wanted(target):
                if len(found.pages) >= limits.max_items and target not in found.pages:
                    found.faults.append(f"more than {limits.max_items} pages: the rest is not taken")
                    return
                found.pages[target] = modified

    def _descend(self, url: str, found: _Found, *, depth: int) -> None:
        if url in found.sitemaps:
            return
        if depth > self._spec.limits.max_depth or len(found.sitemaps) >= MAX_SITEMAPS:
            found.faults.append(f"{url}: sitemaps beyond sources.max_depth, or too many of them")
            return
        try:
            self._read(url, found, depth=depth)
        except (ItemNotFetched, SourceFailed) as error:
            found.faults.append(error.message)

    def _is_wanted(self, url: str) -> bool:
        home, parts = urlsplit(self._spec.location), urlsplit(url)
        is_here = parts.scheme in ("http", "https") and parts.hostname == home.hostname
        return is_here and len(url) <= MAX_KEY_LENGTH and is_included(parts.path, self._spec.include, suffixes=())


def _address_of(location: str, *, base: str) -> str:
    """Return the whole address of what a sitemap names; "" if that is no address."""
    try:
        named = urlsplit(location)
        is_address = named.hostname or not named.scheme  # "http:///" names no host, and urljoin would take the base's
        return urljoin(base, location) if is_address else ""
    except ValueError:
        return ""


def _entries(body: bytes, *, url: str) -> Iterator[tuple[bool, str, str]]:
    """Yield (is a sitemap, address, when modified). Raises: ItemRefused (no sitemap)."""
    if not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        lines = [line.strip() for line in body.decode("utf-8", "replace").splitlines()]
        addresses = [line for line in lines if line.startswith(("http://", "https://"))]
        if not addresses:
            raise ItemRefused(f"{url} is no sitemap: it lists no address", reason=NO_SITEMAP)
        yield from ((False, address, "") for address in addresses)
        return
    location = modified = root = ""
    try:
        for event, element in iterparse(io.BytesIO(body), events=("start", "end"), forbid_dtd=True):
            tag = str(element.tag).rpartition("}")[2]
            root = root or tag
            if root not in _ROOTS:  # a page that says "back soon" lists nothing, and nothing has left the site
                raise ItemRefused(f"{url} is no sitemap: it begins with <{root[:40]}>", reason=NO_SITEMAP)
            if event == "start":
                continue
            if tag == "loc":
                location = (element.text or "").strip()
            elif tag == "lastmod":
                modified = (element.text or "").strip()[:64]
            elif tag in ("url", "sitemap"):
                if location:
                    yield tag == "sitemap", location, modified
                location = modified = ""
                element.clear()
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
        raise ItemRefused(f"{url} is no sitemap: {type(error).__name__}", reason=NO_SITEMAP) from error
