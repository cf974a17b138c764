"""Reads exports of knowledge bases: folders, zip archives and JSON files, as Confluence and Zendesk write them.

Confluence exports a space as HTML pages named `<title>_<page id>.html`: the id identifies a page, whatever its title.
Zendesk's Help Center API, and tools that save it, write articles as JSON: objects with `id`, `title` and `body`.
"""

import hashlib
import html
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from sealserve.sources.connector import (
    MAX_KEY_LENGTH,
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
from sealserve.sources.folders import Folder
from sealserve.sources.item_names import READABLE, is_included, media_type_of, require_plain

_PAGE_ID = re.compile(r"(?:^|_)([0-9]{3,20})\.html?", re.ASCII | re.IGNORECASE)
_ASIDE = frozenset({"attachments", "images", "styles"})
_JSON = frozenset({".json", ".jsonl", ".ndjson"})


class Archive:
    """The files of a zip archive; as `Folder`. Nothing is unpacked to disk."""

    def __init__(self, path: Path) -> None:
        """Raises: SourceFailed (no zip archive)."""
        self.faults: list[str] = []
        try:
            self._file = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError) as error:
            raise SourceFailed(f"the archive cannot be opened: {error}", reason="NO_ARCHIVE") from error

    def names(self, *, most: int) -> Iterator[tuple[str, str]]:
        """Yield (name, token) of every file, at most `most`."""
        files = [entry for entry in self._file.infolist() if not entry.is_dir()]
        self.faults = [f"more than {most} files: the rest is not taken"] if len(files) > most else []
        for entry in files[:most]:
            yield entry.filename, f"{entry.file_size}:{entry.CRC:08x}"

    def read(self, name: str, *, max_bytes: int) -> bytes:
        """Return a file's content. Raises: ItemGone, ItemRefused (too large, a climbing name), ItemFailed (broken)."""
        require_plain(name)
        try:
            with self._file.open(name) as file:
                content = file.read(max_bytes + 1)
        except KeyError as error:
            raise ItemGone(f"{name}: it is not there") from error
        except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
            raise ItemFailed(f"{name}: it cannot be unpacked: {error}", reason="BROKEN") from error
        if len(content) > max_bytes:
            raise ItemRefused(f"{name}: more than {max_bytes} bytes", reason="TOO_LARGE")
        return content


class _SingleFile:
    """One file, named as it is called; as `Folder`."""

    def __init__(self, path: Path) -> None:
        self._folder = Folder(path.parent)
        self._name = path.name
        self.faults: list[str] = []

    def names(self, *, most: int) -> Iterator[tuple[str, str]]:
        """Yield the one file."""
        yield self._name, ""

    def read(self, name: str, *, max_bytes: int) -> bytes:
        """Return its content. Raises: as `Folder.read`."""
        return self._folder.read(name, max_bytes=max_bytes)


class ExportConnector:
    """An export: its pages, and the articles in its JSON files."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._articles: dict[str, Any] = {}
        self._names: dict[str, str] = {}

    def listing(self, cursor: str) -> Listing | Unchanged:
        """Raises: SourceFailed (it does not exist, or cannot be opened)."""
        limits, files = self._spec.limits, self._open()
        items: dict[str, ListedItem] = {}
        faults: list[str] = []
        for name, token in files.names(most=limits.max_items):
            if PurePosixPath(name).suffix.lower() in _JSON and not self._spec.include:
                try:
                    items |= self._listed_articles(files.read(name, max_bytes=limits.max_listing_bytes))
                except ItemNotFetched as error:
                    faults.append(f"{name[:200]}: {error.message.removeprefix(f'{name}: ')}")
            elif self._is_page(name):
                key = _key(name)
                self._names[key] = name
                items[key] = ListedItem(key=key, token=f"{name}:{token}")
        kept = tuple(items.values())[: limits.max_items]
        if len(kept) < len(items):
            faults.append(f"more than {limits.max_items} articles: the rest is not taken")
        return Listing(items=kept, fault="; ".join([*files.faults, *faults][:3]))

    def fetch(self, item: ListedItem, *, validator: str) -> Fetched | Unchanged:
        """Raises: ItemNotFetched, SourceFailed."""
        if item.key not in self._names and item.key not in self._articles:
            self.listing("")
        label = f"export:{self._spec.name}/{item.key}"
        if item.key in self._articles:
            content = self._page_of(self._articles[item.key])
            return Fetched(content=content, media_type="text/html; charset=utf-8", label=label, title=item.title)
        name = self._names.get(item.key)
        if name is None:
            raise ItemGone(f"{item.key}: it is not there")
        content = self._open().read(name, max_bytes=self._spec.limits.max_item_bytes)
        return Fetched(content=content, media_type=media_type_of(name), label=label)

    def close(self) -> None:
        """Nothing is held open."""

    def _open(self) -> Folder | Archive | _SingleFile:
        path = Path(self._spec.location)
        if path.is_dir():
            return Folder(path)
        if not path.is_file():
            raise SourceFailed("there is no such folder or file", reason="NO_EXPORT")
        return _SingleFile(path) if path.suffix.lower() in _JSON else Archive(path)

    def _is_page(self, name: str) -> bool:
        path = PurePosixPath(name)
        if self._spec.include:
            return is_included(name, self._spec.include)
        is_aside = path.name.lower() == "index.html" or not _ASIDE.isdisjoint(path.parts)
        return not is_aside and is_included(name, (), suffixes=READABLE)

    def _listed_articles(self, content: bytes) -> dict[str, ListedItem]:
        """Note the articles of a JSON file. Raises: ItemRefused (no JSON of articles)."""
        listed: dict[str, ListedItem] = {}
        for article in _articles(content):
            if article.get("draft") or not isinstance(article.get("body"), str):
                continue
            title, locale = str(article.get("title", "")), str(article.get("locale", ""))
            key = f"article:{article['id']}{f':{locale}' if locale else ''}"[:MAX_KEY_LENGTH]
            said = json.dumps([title, article["body"]]).encode()
            self._articles[key] = article
            listed[key] = ListedItem(key=key, token=hashlib.sha256(said).hexdigest(), title=title)
        return listed

    def _page_of(self, article: dict[str, Any]) -> bytes:
        title = html.escape(str(article.get("title", "")))
        page = f"<html><head><meta charset=utf-8><title>{title}</title></head><body>{article['body']}</body></html>"
        content = page.encode("utf-8", "replace")
        if len(content) > self._spec.limits.max_item_bytes:
            limit = self._spec.limits.max_item_bytes
            raise ItemRefused(f"article {article['id']}: more than {limit} bytes", reason="TOO_LARGE")
        return content


def _key(name: str) -> str:
    """Return what names a page: its id, where Confluence wrote one, else the file."""
    path = PurePosixPath(name)
    found = _PAGE_ID.search(path.name)
    return f"page:{found[1]}" if found else name[:MAX_KEY_LENGTH]


def _articles(content: bytes) -> Iterator[dict[str, Any]]:
    """Yield the articles of an answer of Zendesk's API, of a list, or of one object a line. Raises: ItemRefused."""
    try:
        text = content.decode("utf-8-sig")
        found = _parsed(text)
    except (ValueError, RecursionError) as error:
        raise ItemRefused("no JSON", reason="NO_JSON") from error
    for one in found:
        inner = one.get("article", one) if isinstance(one, dict) else None
        many = inner.get("articles") if isinstance(inner, dict) else None
        for article in many if isinstance(many, list) else [inner]:
            if isinstance(article, dict) and isinstance(article.get("id"), int | str):
                yield article


def _parsed(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    return found if isinstance(found, list) else [found]
