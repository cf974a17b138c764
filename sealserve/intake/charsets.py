"""Decodes bytes as a browser does, by the WHATWG Encoding Standard, but without guesses and replacement characters.

An encoding is never guessed: a wrong guess would be learned as garbled words.
"""

import codecs
import re
from importlib.util import find_spec

from sealserve.intake.media_types import Claimed, Defect, MediaType, Unreadable

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, longer ones first: UTF-32 little-endian begins with UTF-16's."""

_CODECS = {"gbk": "gb18030", "gb2312": "gb18030", "euc-jp": "euc-jp", "iso-2022-jp": "iso-2022-jp"}
"""Python's codec for a name of the Standard, where webencodings' differs or lacks signs that browsers know."""

_REFUSED = frozenset({"replacement", "x-user-defined"})
_WIDE = ("utf-16", "utf-32")
_UTF8 = frozenset({"", "utf-8", "utf8"})
_BINARY_ADVICE = "send text, Markdown, HTML, PDF or an Office file"

_META_WINDOW_BYTES = 1024  # HTML standard, 13.2.3.2: where a page should declare its encoding
_META = re.compile(rb"<meta\b([^>]{0,400})>", re.IGNORECASE)
_META_ATTRIBUTE = re.compile(rb"""([^\s"'=/]{1,40})\s{0,9}=\s{0,9}("[^"]{0,300}"|'[^']{0,300}'|[^\s"']{1,100})""")
_CONTENT_CHARSET = re.compile(rb"""charset\s{0,9}=\s{0,9}["']?([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
_XML_DECLARATION = re.compile(rb"""\s{0,9}<\?xml\s[^>]{0,200}?encoding\s{0,9}=\s{0,9}["']([A-Za-z0-9_.:-]{1,40})""")
_CONTROL_SHARE = 0.02
"""Text has next to no control characters; random bytes have one in eight."""

_ZERO_SHARE = 0.7
"""Of every second byte: what ASCII-heavy UTF-16 has, and no other encoding of text."""


def decode(content: bytes, what: Claimed) -> str | Unreadable:
    """Return the text of `content`: by its byte order mark, else the declared charset, else strict UTF-8."""
    encoding = _encoding(content, what)
    if isinstance(encoding, Unreadable):
        return encoding
    if not encoding.startswith(_WIDE) and b"\x00" in content:
        return Unreadable(defect=Defect.BINARY, advice=f"holds zero bytes; {_BINARY_ADVICE}")
    try:
        return _unless_binary(_decoded(content, encoding))
    except UnicodeError:
        advice = f"not valid {encoding}; save it as UTF-8 or declare its charset"
        return Unreadable(defect=Defect.ENCODING, advice=advice)


def declared_charset(content: bytes) -> str:
    """Return the charset that an HTML or XML file declares in its text; "" if it declares none.

    A meta element among the first 1,024 bytes comes first, then the XML declaration, then a later meta element.
    """
    xml = _XML_DECLARATION.match(content[:400])
    return (
        _meta_charset(content[:_META_WINDOW_BYTES])
        or (xml[1].decode("ascii").lower() if xml else "")
        or _meta_charset(content)
    )


def _encoding(content: bytes, what: Claimed) -> str | Unreadable:
    """Return the codec's name for `content`; Unreadable for a declared charset that is not in the Standard."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return encoding
    if what.charset:
        name = _codec(what.charset)
        if isinstance(name, str) and name.startswith(_WIDE) and b"\x00" not in content:
            return "utf-8"  # no text of words and spaces is without zero bytes in UTF-16
        return name
    if wide := _wide_without_mark(content):
        return wide
    label = declared_charset(content) if what.media_type is MediaType.HTML else ""
    name = _codec(label)
    if isinstance(name, Unreadable):  # a browser skips a label that it does not know
        return name if label in _REFUSED or not _is_utf8(content) else "utf-8"
    return "utf-8" if name.startswith(_WIDE) else name  # HTML standard: its bytes were read as ASCII so far


def _codec(label: str) -> str | Unreadable:
    """Return the codec's name for a label of the Encoding Standard."""
    if label in _UTF8:
        return "utf-8"
    if label.startswith("utf-32"):  # not in the Standard, and no other encoding either
        return "utf-32"
    if find_spec("webencodings") is None:
        advice = f"charset {label[:40]!r} needs a package: pip install 'sealserve[documents]' there, or send UTF-8"
        return Unreadable(defect=Defect.ENCODING, advice=advice)
    import webencodings

    found = webencodings.lookup(label)
    if found is None or found.name in _REFUSED:
        return Unreadable(defect=Defect.ENCODING, advice=f"charset {label[:40]!r} is not supported; send UTF-8")
    return _CODECS.get(found.name) or str(found.codec_info.name)


def _decoded(content: bytes, encoding: str) -> str:
    """Return the text of `content`. Raises: UnicodeError."""
    if encoding == "euc-jp":
        return _from_euc_jp(content)
    if encoding == "iso-2022-jp":
        return _from_euc_jp(_iso_2022_jp_as_euc(content))
    try:
        return content.decode(encoding, _HANDLER)
    except UnicodeError:
        if encoding != "big5hkscs":
            raise
        return content.decode("cp950")  # signs of Microsoft's Big5 that Hong Kong's lacks


def _as_browsers_do(error: UnicodeError) -> tuple[str, int]:
    """Give a byte that Python's codec leaves open what the Standard gives it: C1 controls, and GBK's Euro sign."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    byte = error.object[error.start]
    if error.encoding == "gb18030" and byte == 0x80:
        return "€", error.start + 1
    if error.encoding in ("charmap", *_SINGLE_BYTE) and 0x80 <= byte <= 0x9F:
        return chr(byte), error.start + 1
    raise error


_SINGLE_BYTE = ("cp1252", "cp1253", "cp1254", "cp1255", "cp1257", "cp1258", "cp874")
_HANDLER = "sealserve-browser"
codecs.register_error(_HANDLER, _as_browsers_do)


def _from_euc_jp(content: bytes) -> str:
    """Decode EUC-JP with the NEC and IBM signs that browsers know: JIS X 0208 by way of Microsoft's Shift_JIS."""
    parts: list[str] = []
    place, end = 0, len(content)
    while place < end:
        byte = content[place]
        if byte < 0x80:
            stop = place + 1
            while stop < end and content[stop] < 0x80:
                stop += 1
            parts.append(content[place:stop].decode("ascii"))
        elif byte == 0x8E:  # half-width kana
            stop = place + 2
            parts.append(content[place + 1 : stop].decode("cp932"))
        elif byte == 0x8F:  # JIS X 0212
            stop = place + 3
            parts.append(content[place:stop].decode("euc_jp"))
        else:
            stop = place + 2
            parts.append(_shift_jis_pair(content[place:stop]).decode("cp932"))
        place = stop
    return "".join(parts)


def _shift_jis_pair(pair: bytes) -> bytes:
    """Return the Shift_JIS form of an EUC-JP pair of bytes. Raises: UnicodeDecodeError."""
    if len(pair) < 2 or not (0xA1 <= pair[0] <= 0xFE and 0xA1 <= pair[1] <= 0xFE):
        raise UnicodeDecodeError("euc-jp", pair, 0, len(pair), "no pair of JIS X 0208")
    row, cell = pair[0] - 0xA1, pair[1] - 0xA1
    lead = row // 2 + (0x81 if row < 62 else 0xC1)
    trail = cell + (0x9F if row % 2 else 0x40 + (cell >= 63))
    return bytes((lead, trail))


def _iso_2022_jp_as_euc(content: bytes) -> bytes:
    """Return ISO-2022-JP as EUC-JP. Raises: UnicodeDecodeError (an escape that the Standard does not know)."""
    first, *rest = content.split(b"\x1b")
    parts = [first]
    for piece in rest:
        escape = piece[:2]
        if escape in (b"$@", b"$B"):
            parts.append(bytes(byte | 0x80 if byte > 0x20 else byte for byte in piece[2:]))
        elif escape == b"(I":
            parts.append(b"".join(b"\x8e" + bytes([byte | 0x80]) for byte in piece[2:]))
        elif escape in (b"(B", b"(J"):
            parts.append(piece[2:])
        else:
            raise UnicodeDecodeError("iso-2022-jp", content, 0, 1, "an unknown escape")
    return b"".join(parts)


def _meta_charset(content: bytes) -> str:
    """Return the label of the first meta element that declares one, outside comments (HTML standard, 13.2.3.2)."""
    for element in _META.finditer(_without_comments(content)):
        found = {one[1].lower(): one[2].strip(b"\"' ") for one in _META_ATTRIBUTE.finditer(element[1])}
        label = found.get(b"charset", b"")
        if not label and found.get(b"http-equiv", b"").lower() == b"content-type":
            named = _CONTENT_CHARSET.search(found.get(b"content", b""))
            label = named[1] if named else b""
        if label and label.isascii():
            return label.decode("ascii").lower()
    return ""


def _without_comments(content: bytes) -> bytes:
    kept, place = [], 0
    while (start := content.find(b"<!--", place)) >= 0:
        kept.append(content[place:start])
        end = content.find(b"-->", start + 2)
        if end < 0:
            return b"".join(kept)
        place = end + 3
    return b"".join([*kept, content[place:]])


def _wide_without_mark(content: bytes) -> str:
    """Return "utf-16-le" or "utf-16-be" for text that can be nothing else: zeros at every second byte; else ""."""
    if len(content) < 4 or len(content) % 2 or b"\x00" not in content[:4096]:
        return ""
    for name, empty, full in (("utf-16-le", content[1::2], content[::2]), ("utf-16-be", content[::2], content[1::2])):
        if empty.count(0) >= _ZERO_SHARE * len(empty) and full.count(0) == 0:
            return name
    return ""


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _unless_binary(text: str) -> str | Unreadable:
    controls = sum(1 for character in text if character < " " and character not in "\t\n\r\f\v")
    if controls > len(text) * _CONTROL_SHARE:
        return Unreadable(defect=Defect.BINARY, advice=f"mostly control characters; {_BINARY_ADVICE}")
    return text
