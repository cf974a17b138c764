"""Hostile PDF files are read or refused in a child of their own; a child that crashes costs its document only."""

from collections.abc import Callable, Iterator

import pytest

from sealserve.intake import sandbox as sandbox_module
from sealserve.intake.examine import Examined
from sealserve.intake.media_types import Defect, Unreadable
from sealserve.intake.sandbox import Sandbox
from sealserve.intake.sandbox_child import Limits
from tests.intake import hostile_pdfs
from tests.intake.pdf_files import pdf_of

pytestmark = pytest.mark.slow  # large files, and processes that reach their limits

_REFUSED = {Defect.TOO_COSTLY, Defect.BROKEN, Defect.NO_TEXT, Defect.TOO_LONG}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(Limits(cpu_seconds=1))
    yield sandbox
    sandbox.close()


def _examined(sandbox: Sandbox, content: bytes) -> Examined | Unreadable:
    return sandbox.examine(content, media_type="application/pdf", title="", max_bytes=2**21)


_CRASH = """import os, signal; from sealserve.intake import sandbox_child
examine = sandbox_child._TASKS["examine"]
def _fall(fields, parts):
    if b"fall" in parts[0]:
        os.kill(os.getpid(), signal.SIGSEGV)
    return examine(fields, parts)
sandbox_child._TASKS["examine"] = _fall
"""

HOSTILE: dict[str, Callable[[], bytes]] = {
    "operators": lambda: hostile_pdfs.many_operators(1_500_000),
    "texts": lambda: hostile_pdfs.many_texts(300_000),
    "texts on texts": lambda: hostile_pdfs.many_places(60_000),
    "a bomb": lambda: hostile_pdfs.bomb(600),
    "a large picture": lambda: hostile_pdfs.large_picture(20_000),
    "a form in itself": hostile_pdfs.endless_form,
    "forms that multiply": lambda: hostile_pdfs.exploding_forms(9),
    "pages without end": hostile_pdfs.endless_pages,
    "a huge page": hostile_pdfs.huge_page,
    "arrays in arrays": lambda: hostile_pdfs.deep_arrays(200_000),
}


@pytest.mark.parametrize("way", HOSTILE)
def test_a_hostile_file_is_read_or_refused(sandbox: Sandbox, way: str) -> None:
    found = _examined(sandbox, HOSTILE[way]())
    if isinstance(found, Unreadable):
        assert found.defect in _REFUSED
    else:
        assert "Kettles" in found.text


def test_page_whose_forms_never_end_is_refused_by_name_long_before_the_limit() -> None:
    sandbox = Sandbox(Limits(cpu_seconds=60, wall_seconds=600))
    try:
        refused = _examined(sandbox, hostile_pdfs.endless_form())
    finally:
        sandbox.close()
    assert isinstance(refused, Unreadable)
    assert refused.defect is Defect.TOO_COSTLY
    assert "forms draw themselves" in refused.advice


def test_a_child_that_is_ended_by_a_signal_refuses_its_document_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sandbox_module, "_START", sandbox_module._START.replace("from sealserve", f"{_CRASH}from sealserve", 1)
    )
    sandbox = Sandbox()
    try:
        refused = _examined(sandbox, b"%PDF-1.7 fall")
        assert isinstance(refused, Unreadable)
        assert refused.defect is Defect.TOO_COSTLY
        assert isinstance(_examined(sandbox, pdf_of(hostile_pdfs.WORDS)), Examined)
    finally:
        sandbox.close()
