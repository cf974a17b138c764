"""PDF files in their own syntax, for what no library writes: text that is hidden, woven, turned or without letters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

A4 = (595, 842)

_FONT = "<< /Type /Font /Subtype /Type1 /BaseFont /{} /Encoding /WinAnsiEncoding >>"
FONTS = {
    "F1": _FONT.format("Helvetica"),
    "F2": _FONT.format("Helvetica-Bold"),
    "F3": _FONT.format("Courier"),
    "F4": _FONT.format("Times-Roman"),
}
_FIRST_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A page: its content stream, and entries of its dictionary and resources, where extra objects are `100 0 R` …"""

    content: str
    resources: str = ""
    entries: str = ""
    size: tuple[float, float] = A4


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """Objects by number (from 100 on), and entries of the catalogue and of the information dictionary."""

    objects: Mapping[int, bytes] = field(default_factory=dict)
    catalog: str = ""
    info: str = ""


def text(x: float, y: float, words: str, *, size: float = 11, font: str = "F1", before: str = "") -> str:
    """Return operators that draw `words` with their baseline's start at (x, y), from the page's lower left corner."""
    escaped = words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"q {before} BT /{font} {size} Tf {x} {y} Td ({escaped}) Tj ET Q\n"


def lines(x: float, y: float, *words: str, size: float = 11, leading: float = 14, font: str = "F1") -> str:
    """Return operators that draw lines of text, one below the other."""
    return "".join(text(x, y - leading * row, line, size=size, font=font) for row, line in enumerate(words))


def stream(content: bytes, entries: str = "") -> bytes:
    """Return a stream object."""
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries.encode(), len(content), content)


def pdf_of(*leaves: Leaf | str, extra: Extra | None = None) -> bytes:
    """Return a PDF of these pages; a string is a page's content."""
    extra = extra or Extra()
    pages = [Leaf(content=leaf) if isinstance(leaf, str) else leaf for leaf in leaves]
    numbers = [_FIRST_PAGE + 2 * place for place in range(len(pages))]
    fonts = " ".join(f"/{name} {10 + place} 0 R" for place, name in enumerate(FONTS))
    objects: dict[int, bytes] = {
        1: f"<< /Type /Catalog /Pages 2 0 R {extra.catalog} >>".encode(),
        2: f"<< /Type /Pages /Count {len(pages)} /Kids [{' '.join(f'{n} 0 R' for n in numbers)}] >>".encode(),
        3: f"<< {extra.info} >>".encode("latin-1"),
        **{10 + place: font.encode() for place, font in enumerate(FONTS.values())},
        **extra.objects,
    }
    for number, leaf in zip(numbers, pages, strict=True):
        width, height = leaf.size
        objects[number] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents {number + 1} 0 R {leaf.entries}"
            f" /Resources << /Font << {fonts} {_fonts_in(extra)} >> {leaf.resources} >> >>"
        ).encode()
        objects[number + 1] = stream(leaf.content.encode("cp1252"))
    return _written(objects)


def _fonts_in(extra: Extra) -> str:
    return " ".join(f"/X{n} {n} 0 R" for n, body in extra.objects.items() if b"/Subtype /Type" in body)


def _written(objects: Mapping[int, bytes]) -> bytes:
    body = b"%PDF-1.7\n"
    table = b"xref\n0 1\n0000000000 65535 f \n"
    for number in sorted(objects):
        table += b"%d 1\n%010d 00000 n \n" % (number, len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, objects[number])
    trailer = b"trailer << /Size %d /Root 1 0 R /Info 3 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        max(objects) + 1,
        len(body),
    )
    return body + table + trailer


def unicode_font(number: int, letters: Sequence[str]) -> dict[int, bytes]:
    """Return the objects of a font that is not embedded, whose codes 1, 2, … stand for `letters`: `/X{number}`."""
    mapped = "".join(f"<{code:04X}> <{letter.encode('utf-16-be').hex()}>\n" for code, letter in enumerate(letters, 1))
    to_unicode = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /A def /CMapType 2 def\n"
        "1 begincodespacerange <0000> <FFFF> endcodespacerange\n"
        f"{len(letters)} beginbfchar\n{mapped}endbfchar endcmap end end"
    )
    return {
        number: (
            f"<< /Type /Font /Subtype /Type0 /BaseFont /Foreign /Encoding /Identity-H"
            f" /DescendantFonts [{number + 1} 0 R] /ToUnicode {number + 2} 0 R >>"
        ).encode(),
        number + 1: (
            f"<< /Type /Font /Subtype /CIDFontType2 /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity)"
            f" /Supplement 0 >> /DW 600 /FontDescriptor {number + 3} 0 R >>"
        ).encode(),
        number + 2: stream(to_unicode.encode()),
        number + 3: (
            b"<< /Type /FontDescriptor /FontName /Foreign /Flags 4 /FontBBox [0 -200 1000 800] /ItalicAngle 0"
            b" /Ascent 800 /Descent -200 /CapHeight 700 /StemV 80 >>"
        ),
    }


def coded(x: float, y: float, letters: str, alphabet: Sequence[str], *, font: str, size: float = 12) -> str:
    """Return operators that draw `letters` with a font of `unicode_font`."""
    codes = "".join(f"{alphabet.index(letter) + 1:04X}" for letter in letters)
    return f"BT /{font} {size} Tf {x} {y} Td <{codes}> Tj ET\n"
