"""Documents of every format for the intake figure, made in memory: the same articles each time."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from html import escape
from importlib import import_module
from typing import Any

_OFFICE = "application/vnd.openxmlformats-officedocument"
_THINGS = ("kettle", "bellows", "lantern", "weather vane", "hand loom", "copper still", "fruit press", "tower clock")
_PLACES = ("Orvelle", "Tamsin Quay", "Brackwater", "Upper Lund", "Saint Ivo", "Calder Mill", "Nettlebridge")
_PARAGRAPHS = 40
_LINES, _LEADING = 48, 15  # of a PDF's page


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """What every format says in its own way."""

    title: str
    paragraphs: Sequence[str]
    rows: Sequence[Sequence[str]]  # the first has the columns' names


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format that people send."""

    media_type: str
    write: Callable[[Article], bytes]


def article(number: int) -> Article:
    """Return the article of that number; no two are alike."""
    thing, place = _THINGS[number % len(_THINGS)], _PLACES[number // len(_THINGS) % len(_PLACES)]
    paragraphs = [
        f"The {thing} number {number} of {place} was repaired for the {part}th time in {1700 + (number + part) % 300}."
        f" Its keeper pays {3 + (number * part) % 90} crowns for each of the {part + 2} parts, and waits {2 + part % 9}"
        f" days for them: the workshop {part * 31 % 97} miles up the river opens on market days only."
        for part in range(1, _PARAGRAPHS + 1)
    ]
    rows = [
        ("part", "price", "days"),
        *((f"{thing} part {n}", f"{n * number % 90} crowns", str(n)) for n in range(1, 20)),
    ]
    return Article(title=f"The {thing} of {place}, {number}", paragraphs=paragraphs, rows=rows)


def _text(article: Article) -> bytes:
    return "\n\n".join((article.title, *article.paragraphs)).encode()


def _markdown(article: Article) -> bytes:
    table = "\n".join(" | ".join(row) for row in (article.rows[0], ["---"] * 3, *article.rows[1:]))
    return "\n\n".join((f"# {article.title}", *article.paragraphs, table)).encode()


def _html(article: Article) -> bytes:
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in article.rows)
    body = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in article.paragraphs)
    title = escape(article.title)
    return (
        f"<!doctype html><html><head><title>{title}</title><style>.fine {{ color: #444 }}</style></head><body><nav>Home"
        f"</nav><article><h1>{title}</h1>{body}<table>{rows}</table></article></body></html>"
    ).encode()


def _pdf(article: Article) -> bytes:
    words = f"{article.title} {' '.join(article.paragraphs)}".split()
    lines = [" ".join(words[start : start + 13]) for start in range(0, len(words), 13)]
    pages = [lines[start : start + _LINES] for start in range(0, len(lines), _LINES)]
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, page in enumerate(pages):
        shown = "".join(f"({line}) Tj T*\n" for line in page)
        drawn = f"BT /F1 10 Tf {_LEADING} TL 60 780 Td\n{shown}ET".encode()
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * number} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>".encode(),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
        ]
    body, table = b"%PDF-1.7\n", b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for number, content in enumerate(objects, start=1):
        table += b"%010d 00000 n \n" % len(body)
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    return (
        body + table + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(body))
    )


def _csv(article: Article, *, delimiter: str = ",") -> bytes:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerows(article.rows)
    return written.getvalue().encode()


def _json(article: Article) -> bytes:
    return json.dumps({"title": article.title, "body": list(article.paragraphs), "rows": list(article.rows)}).encode()


def _email(article: Article) -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = article.title, "keeper@example.org", "shop@example.org"
    message.set_content("\n\n".join(article.paragraphs))
    message.add_alternative(_html(article).decode(), subtype="html")
    return message.as_bytes()


def _epub(article: Article) -> bytes:
    buffer = io.BytesIO()
    container = (
        '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile'
        ' full-path="a.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    package = (
        '<package version="3.0" xmlns="http://www.idpf.org/2007/opf" unique-identifier="i"><metadata'
        f' xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{escape(article.title)}</dc:title></metadata><manifest>'
        '<item id="c" href="c.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="c"/></spine>'
        "</package>"
    )
    chapter = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in article.paragraphs)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        book.writestr("META-INF/container.xml", container)
        book.writestr("a.opf", package)
        book.writestr("c.xhtml", f'<html xmlns="http://www.w3.org/1999/xhtml"><body>{chapter}</body></html>')
    return buffer.getvalue()


def _docx(article: Article) -> bytes:
    document: Any = import_module("docx").Document()
    document.add_heading(article.title)
    for paragraph in article.paragraphs:
        document.add_paragraph(paragraph)
    table = document.add_table(rows=0, cols=len(article.rows[0]))
    for row in article.rows:
        for cell, words in zip(table.add_row().cells, row, strict=True):
            cell.text = words
    return _saved(document)


def _pptx(article: Article) -> bytes:
    slides: Any = import_module("pptx").Presentation()
    for start in range(0, len(article.paragraphs), 4):
        slide = slides.slides.add_slide(slides.slide_layouts[1])
        slide.shapes.title.text = f"{article.title}, {start}"
        slide.placeholders[1].text = "\n".join(article.paragraphs[start : start + 4])
    return _saved(slides)


def _xlsx(article: Article) -> bytes:
    book: Any = import_module("openpyxl").Workbook()
    for row in article.rows:
        book.active.append(list(row))
    return _saved(book)


def _saved(document: Any) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


FORMATS: Mapping[str, Format] = {
    "txt": Format(media_type="text/plain", write=_text),
    "md": Format(media_type="text/markdown", write=_markdown),
    "html": Format(media_type="text/html", write=_html),
    "pdf": Format(media_type="application/pdf", write=_pdf),
    "docx": Format(media_type=f"{_OFFICE}.wordprocessingml.document", write=_docx),
    "pptx": Format(media_type=f"{_OFFICE}.presentationml.presentation", write=_pptx),
    "xlsx": Format(media_type=f"{_OFFICE}.spreadsheetml.sheet", write=_xlsx),
    "csv": Format(media_type="text/csv", write=_csv),
    "tsv": Format(media_type="text/tab-separated-values", write=partial(_csv, delimiter="\t")),
    "epub": Format(media_type="application/epub+zip", write=_epub),
    "eml": Format(media_type="message/rfc822", write=_email),
    "json": Format(media_type="application/json", write=_json),
}
"""The formats by the ending of their files; those that intake does not read are left out of the figure."""


def hostile(number: int) -> tuple[str, bytes]:
    """Return the media type and bytes of a document that costs its reader as much as it can."""
    if number % 2:
        style = "".join(f".c{n} > a:not(.x) {{ color: red }}\n" for n in range(50_000))
        return "text/html", f"<html><style>{style}</style><p>{number}</p></html>".encode()
    drawn = b"0 0 m 9 9 l S " * 140_000
    page = _pdf(Article(title=f"Page {number}", paragraphs=(), rows=()))
    return "application/pdf", page.replace(b"\nET\nendstream", b"\nET\n" + drawn + b"\nendstream", 1).replace(
        b"/Length ", b"/Length 1960000 /Was ", 1
    )
