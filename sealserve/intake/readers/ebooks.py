"""E-books (EPUB): the chapters in reading order, each as the page that it is."""

import posixpath
from typing import Any
from urllib.parse import unquote
from zipfile import ZipFile

from sealserve.intake.charsets import decode
from sealserve.intake.media_types import LOCKED, Claimed, Defect, MediaType, Parsed, Unreadable
from sealserve.intake.readers.html.html_pages import read_html
from sealserve.intake.readers.markdown_text import paragraphs
from sealserve.intake.readers.zip_packages import open_package, read_member

MAX_CHAPTERS = 2000
_BROKEN = Unreadable(defect=Defect.BROKEN, advice="the EPUB is damaged or unusual; save it anew")
_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_OPF = "{http://www.idpf.org/2007/opf}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_ENCRYPTION = "{http://www.w3.org/2001/04/xmlenc#}"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def read_ebook(content: bytes) -> Parsed | Unreadable:
    """Return title and text of an EPUB (EPUB 3.3): its spine's documents, without the table of contents."""
    package = open_package(content)
    if isinstance(package, Unreadable):
        return package
    book = _package_document(package)
    if book is None:
        return _BROKEN
    root, folder = book
    items = {one.get("id"): one for one in root.iter(f"{_OPF}item")}
    spine = [items.get(one.get("idref")) for one in root.iter(f"{_OPF}itemref")]
    names = [
        posixpath.normpath(posixpath.join(folder, unquote(one.get("href") or "")))
        for one in spine
        if one is not None and one.get("media-type") in _PAGES and "nav" not in (one.get("properties") or "").split()
    ]
    if _locked(package) & set(names):
        return LOCKED
    sheets = [
        read_member(package, posixpath.normpath(posixpath.join(folder, unquote(one.get("href") or "")))).decode(
            "utf-8", "replace"
        )
        for one in items.values()
        if one.get("media-type") == "text/css"
    ]
    title = " ".join("".join(one.text or "" for one in list(root.iter(f"{_DC}title"))[:1]).split())
    return _chapters(package, names[:MAX_CHAPTERS], sheets, title)


def _chapters(package: ZipFile, names: list[str], sheets: list[str], title: str) -> Parsed | Unreadable:
    blocks: list[str] = []
    hidden = 0
    for name in names:
        text = decode(read_member(package, name), Claimed(media_type=MediaType.HTML, charset=""))
        page = read_html(text, sheets=sheets) if isinstance(text, str) and text.strip() else text
        if isinstance(page, Parsed):
            blocks.append(page.text)
            hidden += page.hidden
    if not any(block.strip() for block in blocks):
        return Unreadable(defect=Defect.NO_TEXT, advice="the EPUB holds no text; pictures need text recognition")
    return Parsed(title=title, text=paragraphs(blocks), hidden=hidden)


def _package_document(package: ZipFile) -> tuple[Any, str] | None:
    """Return the root of the package document and its folder; None for a damaged book."""
    container = _xml(read_member(package, "META-INF/container.xml"))
    found = next(container.iter(f"{_CONTAINER}rootfile"), None) if container is not None else None
    path = found.get("full-path") or "" if found is not None else ""
    root = _xml(read_member(package, path)) if path else None
    return None if root is None else (root, posixpath.dirname(path))


def _locked(package: ZipFile) -> set[str]:
    """Return the members that are encrypted (fonts often are, in books that can be read)."""
    root = _xml(read_member(package, "META-INF/encryption.xml"))
    found = root.iter(f"{_ENCRYPTION}CipherReference") if root is not None else ()
    return {unquote(one.get("URI") or "") for one in found}


def _xml(content: bytes) -> Any:
    """Return the root of an XML document, no entity resolved and nothing fetched; None for a damaged one."""
    from lxml import etree

    try:
        return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
    except (etree.XMLSyntaxError, ValueError):
        return None
