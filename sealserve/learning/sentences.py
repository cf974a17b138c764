"""The sentences of a text, as its language ends them: "the U.S. Court", "bzw. am 3. Mai" and "J. R. R." end none."""

import re

from sentencex import segment

from sealserve.writing_systems import at_thai_pauses, language_of, sentences_of

_ISO_639 = {
    "Arabic": "ar", "Chinese": "zh", "Cyrillic script": "ru", "French": "fr", "German": "de", "Greek": "el",
    "Hebrew": "he", "Hindi": "hi", "Italian": "it", "Japanese": "ja", "Korean": "ko", "Portuguese": "pt",
    "Russian": "ru", "Spanish": "es", "Thai": "th",
}  # fmt: skip
"""Codes of the languages that `language_of` tells; any other text is taken for English."""

_PART = re.compile(r".{1,2000}(?:(?<=[.!?])\s|$)|.{1,2000}\s|.{1,2000}")
"""Part of a line that is segmented at a time, up to a full stop if it can be: time grows with the square of quotation
marks that are never closed."""


_SPACE = re.compile(r"\s")


def whole_sentences(text: str) -> list[str]:
    """Return the sentences and lines of `text`, without the spaces around them; every space is a plain one."""
    code = _ISO_639.get(language_of(text), "en")
    parts = (part for line in text.splitlines() for part in _PART.findall(_SPACE.sub(" ", line)))
    found = [sentence.strip() for part in parts for sentence in _segmented(part, code)]
    return [part for sentence in found if sentence for part in at_thai_pauses(sentence)]


def _segmented(part: str, code: str) -> list[str]:
    """Return the sentences of the part; cut after each full stop if the library panics.

    Release 1.0.32 does at some no-break spaces. A panic is no Exception: it would end the process, again and again, as
    long as the document is there.
    """
    try:
        found: list[str] = segment(code, part)
    except BaseException as error:
        if type(error).__module__ == "pyo3_runtime":
            return sentences_of(part)
        raise
    return found
