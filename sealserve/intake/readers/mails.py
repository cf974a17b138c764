"""E-mails (RFC 5322 and MIME): the subject is the title, the plain part is the text, the HTML part where there is none.

Other headers are left off. Attachments are named, and read where they are of a readable kind.
"""

import email
import email.policy
from collections.abc import Callable, Iterator
from email.message import EmailMessage

from sealserve.intake.charsets import decode
from sealserve.intake.media_types import Claimed, Defect, MediaType, Parsed, Unreadable
from sealserve.intake.readers.html.html_pages import read_html
from sealserve.intake.readers.markdown_text import heading, paragraphs

MAX_ATTACHMENTS = 20
_MAX_PARTS = 1000
_ENCRYPTED = frozenset({"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"})
ReadAttachment = Callable[[bytes, str], Parsed | Unreadable]
"""Reads bytes of a media type; Unreadable where it is no document."""


def read_mail(content: bytes, *, read_attachment: ReadAttachment) -> Parsed | Unreadable:
    """Return subject and text of a mail, and of the documents attached to it."""
    try:
        mail = email.message_from_bytes(content.lstrip(b"\r\n"), policy=email.policy.default)
        parts = [part for part, _ in zip(_leaves(mail), range(_MAX_PARTS), strict=False)]
        if any(part.get_content_type() in _ENCRYPTED for part in mail.walk()):
            return Unreadable(defect=Defect.ENCRYPTED, advice="the mail is encrypted; send it decrypted")
        text, hidden = _body(mail, parts)
        blocks = [text]
        for part in [part for part in parts if _is_attachment(part)][:MAX_ATTACHMENTS]:
            block, lost = _attachment(part, read_attachment)
            blocks.append(block)
            hidden += lost
        title = _field(mail, "subject")
    except (ValueError, LookupError, TypeError, AttributeError):  # email's parser on damaged headers
        return Unreadable(defect=Defect.BROKEN, advice="the mail is damaged; send its text")
    if not text.strip() and len(blocks) == 1:
        return Unreadable(defect=Defect.NO_TEXT, advice="the mail has no text")
    return Parsed(title=title, text=paragraphs(blocks), hidden=hidden)


def _leaves(mail: EmailMessage) -> Iterator[EmailMessage]:
    """Yield the parts that hold no others; a forwarded mail is one."""
    for part in _walk(mail):
        if not part.is_multipart() or part.get_content_type() == "message/rfc822":
            yield part


def _walk(mail: EmailMessage) -> Iterator[EmailMessage]:
    waiting = [mail]
    while waiting:
        one = waiting.pop()
        yield one
        if one.is_multipart() and (one is mail or one.get_content_type() != "message/rfc822"):
            payload = one.get_payload()
            inner = payload if isinstance(payload, list) else []
            waiting += [part for part in reversed(inner) if isinstance(part, EmailMessage)]


def _is_attachment(part: EmailMessage) -> bool:
    is_text = part.get_content_type() in ("text/plain", "text/html", "multipart/alternative")
    return part.get_content_disposition() == "attachment" or (
        not is_text and part.get_content_maintype() != "multipart"
    )


def _body(mail: EmailMessage, parts: list[EmailMessage]) -> tuple[str, int]:
    """Return the text of the parts that are shown: of alternatives the plain one, else the HTML one."""
    blocks: list[str] = []
    hidden = 0
    shown = [part for part in parts if not _is_attachment(part)]
    plain = [part for part in shown if part.get_content_type() == "text/plain"]
    for part in plain or shown:
        text = _text(part)
        if part.get_content_type() == "text/html":
            page = read_html(text)
            text, hidden = (page.text, hidden + page.hidden) if isinstance(page, Parsed) else ("", hidden)
        else:
            text = _unwrapped(text, is_flowed=part.get_param("format", "") == "flowed")
        blocks.append(text)
    return paragraphs(blocks), hidden


def _text(part: EmailMessage) -> str:
    """Return the part's text; without a charset it is UTF-8, else what US-ASCII means to browsers (RFC 2046, 4.1.2).

    Raises: ValueError (it has another encoding than it says).
    """
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    kind = MediaType.HTML if part.get_content_type() == "text/html" else MediaType.PLAIN
    charset = part.get_content_charset() or ""
    text = decode(content, Claimed(media_type=kind, charset=charset))
    if isinstance(text, Unreadable) and not charset:
        text = decode(content, Claimed(media_type=kind, charset="us-ascii"))
    if isinstance(text, Unreadable):
        raise ValueError(text.advice)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _unwrapped(text: str, *, is_flowed: bool) -> str:
    """Return the text without the signature, and with the soft line ends of format=flowed (RFC 3676) joined."""
    body = text.partition("\n-- \n")[0]
    if not is_flowed:
        return body
    lines: list[str] = []
    for line in body.split("\n"):
        if lines and lines[-1].endswith(" ") and not line.startswith(">"):
            lines[-1] += line.removeprefix(" ")
        else:
            lines.append(line.removeprefix(" "))
    return "\n".join(lines)


def _attachment(part: EmailMessage, read_attachment: ReadAttachment) -> tuple[str, int]:
    """Return an attachment's name and, where it can be read, its text; and how much in it was hidden."""
    name = " ".join((part.get_filename() or "").split())
    kind = part.get_content_type()
    if kind == "message/rfc822":
        inner = part.get_payload()
        forwarded = inner[0] if isinstance(inner, list) and inner else None
        content = forwarded.as_bytes() if isinstance(forwarded, EmailMessage) else b""
    else:
        payload = part.get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
    found = read_attachment(content, kind) if content else None
    if not isinstance(found, Parsed):
        return (f"Attachment: {name}" if name and part.get_content_disposition() == "attachment" else ""), 0
    return paragraphs([heading(2, name or found.title or "Attachment"), found.text]), found.hidden


def _field(mail: EmailMessage, name: str) -> str:
    return " ".join(str(mail.get(name, "")).split())
