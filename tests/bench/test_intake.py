"""The intake figure reads every format that is read here, and sees what becomes of hostile documents."""

import pytest

from sealserve.bench.harness.result_tables import TABLES
from sealserve.bench.serving import intake
from sealserve.bench.serving.intake_samples import FORMATS, article, hostile
from sealserve.cli.output import plain
from sealserve.intake.media_types import MediaType, Parsed
from sealserve.intake.parse import parse


@pytest.mark.parametrize("name", [name for name in FORMATS if intake._is_read(name)])
def test_a_format_that_is_read_says_what_the_article_says(name: str) -> None:
    found = parse(FORMATS[name].write(article(3)), media_type=FORMATS[name].media_type)
    assert isinstance(found, Parsed)
    said = " ".join(found.text.split())
    expected = article(3)
    assert expected.rows[5][1] in said if name in ("csv", "tsv", "xlsx") else expected.paragraphs[7] in said


def test_every_media_type_that_is_read_has_a_sample() -> None:
    assert {one.value for one in MediaType} <= {known.media_type for known in FORMATS.values()}


def test_hostile_documents_are_a_page_and_a_pdf() -> None:
    (html, _), (pdf, body) = hostile(1), hostile(2)
    assert (html, pdf, body[:5]) == ("text/html", "application/pdf", b"%PDF-")


def test_figures_of_a_short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "QUICK_DOCUMENTS", 1)
    monkeypatch.setattr(intake, "QUICK_BESIDE", 1)
    monkeypatch.setattr(intake, "hostile", lambda number: ("application/pdf", f"%PDF-1.4 rubbish {number}".encode()))
    figures = intake.run(quick=True, say=lambda line: None)
    assert set(figures.formats) | set(figures.skipped) == set(FORMATS)
    assert figures.formats["pdf"].documents_per_second > 0
    assert figures.child_peak_mib > 0
    assert set(figures.hostile) == {"BROKEN"}
    assert "| pdf |" in TABLES["intake"](plain(figures))
