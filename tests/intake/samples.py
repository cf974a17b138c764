"""Files as people send them, good and bad, made in memory."""

import io

import pypdf

SENTENCE = "Lamps may be returned within 30 days."


def pdf(text: str = SENTENCE, *, title: str = "", password: str = "") -> bytes:
    """Return a one-page PDF with a text layer."""
    drawn = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 200] /Contents 4 0 R"
        b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
    ]
    body = b"%PDF-1.4\n"
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    body += table + b"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(body))
    return _rewritten(body, title=title, password=password) if title or password else body


def blank_pdf() -> bytes:
    """Return a PDF without a text layer, as a scanner makes."""
    writer = pypdf.PdfWriter()
    writer.add_blank_page(width=200, height=200)
    return _written(writer)


def page(body: str, *, title: str = "") -> bytes:
    """Return an HTML page."""
    return f"<!doctype html><html><head><title>{title}</title></head><body>{body}</body></html>".encode()


def _rewritten(body: bytes, *, title: str, password: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=pypdf.PdfReader(io.BytesIO(body)))
    if title:
        writer.add_metadata({"/Title": title})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    return _written(writer)


def _written(writer: pypdf.PdfWriter) -> bytes:
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()
