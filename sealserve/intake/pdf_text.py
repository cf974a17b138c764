"""PDF to text: the text layer of a file. Runs in the sandbox, which alone bounds what pypdf takes."""

import io

from sealserve.intake.media_types import Defect, Parsed, Unreadable

_LET_THROUGH = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, OSError, TypeError, ValueError,
)  # fmt: skip
"""What pypdf raises on damaged files besides its own errors (found by feeding it 20,000 of them)."""

_LOCKED = Unreadable(defect=Defect.ENCRYPTED, advice="it needs a password; send it without one")


def read_pdf(content: bytes) -> Parsed | Unreadable:
    """Return title and text layer, or why there is none."""
    import pypdf
    from pypdf.errors import DependencyError, DeprecationError, FileNotDecryptedError, PyPdfError

    try:
        reader = pypdf.PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            return _LOCKED
        text = "\n\n".join(page.extract_text() for page in reader.pages)
        title = (reader.metadata.title or "") if reader.metadata else ""
    except (FileNotDecryptedError, DependencyError):
        return _LOCKED
    except RecursionError:
        return Unreadable(defect=Defect.TOO_COSTLY, advice="it is nested too deeply; print it to a new PDF")
    except (PyPdfError, DeprecationError, *_LET_THROUGH):
        return Unreadable(defect=Defect.BROKEN, advice="the PDF is damaged or unusual; print it to a new PDF")
    if not text.strip():
        return Unreadable(
            defect=Defect.NO_TEXT, advice="the PDF has no text layer; a scan needs text recognition first"
        )
    return Parsed(title=str(title), text=text)
