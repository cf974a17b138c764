"""PDF files that cost their reader as much as they can."""

import zlib

from tests.intake.pdf_files import Extra, Leaf, pdf_of, stream, text

WORDS = text(60, 700, "Kettles are repaired within six weeks.")
_FLATE = "/Filter /FlateDecode"
_IMAGE = "/Type /XObject /Subtype /Image /ColorSpace /DeviceGray /BitsPerComponent 8"


def many_operators(count: int) -> bytes:
    """Return a small file whose page draws `count` lines."""
    return _deflated(b"0 0 m 9 9 l S " * count)


def many_texts(count: int) -> bytes:
    """Return a small file whose page shows `count` texts at the same place."""
    drawn = b"BT /F1 9 Tf 60 600 Td (word) Tj ET " * count
    return _deflated(drawn)


def many_places(count: int) -> bytes:
    """Return a file whose page shows `count` texts at different places, over each other."""
    drawn = "".join(f"1 0 0 1 {n % 500} {n * 7 % 800} Tm (w{n}) Tj " for n in range(count))
    return _deflated(f"BT /F1 9 Tf {drawn} ET".encode())


def bomb(megabytes: int) -> bytes:
    """Return a file whose page unpacks to as much."""
    return _unpacking_to(_compressed_repeatedly(WORDS.encode(), b" " * 2**20, megabytes))


def large_picture(side: int) -> bytes:
    """Return a file with a picture of `side` × `side` pixels that unpacks to as many bytes."""
    picture = stream(_compressed_repeatedly(b"", bytes(side), side), f"{_IMAGE} /Width {side} /Height {side} {_FLATE}")
    return _with_object("q 500 0 0 500 50 50 cm /X Do Q\n", picture)


def endless_form() -> bytes:
    """Return a file whose form draws itself."""
    return _with_object("/X Do\n", stream(b"/X Do /X Do", _form("/XObject << /X 100 0 R >>")))


def exploding_forms(depth: int) -> bytes:
    """Return a file whose form draws another one ten times, which draws another one ten times, and so on."""
    forms = {
        100 + level: stream(b"/X Do " * 10, _form(f"/XObject << /X {101 + level} 0 R >>")) for level in range(depth)
    }
    forms[100 + depth] = stream(b"BT /F1 9 Tf 60 600 Td (word) Tj ET", _form(""))
    return pdf_of(Leaf(content=WORDS + "/X Do\n", resources="/XObject << /X 100 0 R >>"), extra=Extra(objects=forms))


def endless_pages() -> bytes:
    """Return a file whose tree of pages has itself as a branch."""
    return pdf_of(WORDS).replace(b"/Kids [1000 0 R]", b"/Kids [2 0 R 1000 0 R]").replace(b"/Count 1", b"/Count 9000000")


def huge_page() -> bytes:
    """Return a file whose page is fourteen kilometres wide."""
    return pdf_of(Leaf(content=WORDS, size=(40_000_000, 40_000_000)))


def deep_arrays(depth: int) -> bytes:
    """Return a file with a page entry of nested arrays."""
    return pdf_of(Leaf(content=WORDS, entries=f"/Nested {'[' * depth}{']' * depth}"))


def _form(resources: str) -> str:
    return f"/Type /XObject /Subtype /Form /BBox [0 0 595 842] /Resources << /Font << /F1 10 0 R >> {resources} >>"


def _with_object(content: str, body: bytes) -> bytes:
    leaf = Leaf(content=WORDS + content, resources="/XObject << /X 100 0 R >>")
    return pdf_of(leaf, extra=Extra(objects={100: body}))


def _deflated(content: bytes) -> bytes:
    """Return a PDF whose only page has this content, compressed."""
    return _unpacking_to(zlib.compress(WORDS.encode() + content, 9))


def _unpacking_to(compressed: bytes) -> bytes:
    """Return a PDF whose only page has the content that is compressed."""
    leaf = Leaf(content="", entries="/Contents 100 0 R")
    extra = Extra(objects={100: stream(compressed, _FLATE)})
    return pdf_of(leaf, extra=extra).replace(b"/Contents 1001 0 R", b"")


def _compressed_repeatedly(head: bytes, chunk: bytes, times: int) -> bytes:
    """Return `head` and so many chunks as zlib compresses them, in the time that two chunks take it.

    After a full flush nothing refers to what was before it (RFC 1951, section 3.2.3), so the second chunk's bytes do
    for all that follow. The last block is an empty one, and the checksum ends the stream (RFC 1950).
    """
    packer, checksum = zlib.compressobj(9), zlib.adler32(head)
    begun = packer.compress(head + chunk) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(chunk) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(times):
        checksum = zlib.adler32(chunk, checksum)
    return begun + again * (times - 1) + b"\x03\x00" + checksum.to_bytes(4, "big")
