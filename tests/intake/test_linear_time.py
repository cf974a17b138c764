"""Whatever the text, reading it takes time linear in it: every parser, filter, scanner, matcher and reader of markup.

Only what the packages do that parse HTML, style sheets, PDF and Office files is left out: the sandbox bounds them.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from sealserve import writing_systems
from sealserve.grading import answers, degenerate, json_schemas, numbers, patterns, refusals
from sealserve.intake import charsets, line_ends, media_types, normalise, parse, recognition
from sealserve.intake.pdf import glyph_soup, paragraphs, reading
from sealserve.intake.readers import json_files, markdown_files, separated_values
from sealserve.intake.readers.html import html_pages, html_to_markdown, page_visibility, style_sheets
from sealserve.learning import sentences
from sealserve.learning.study import grounding, passages, sentence_questions
from sealserve.learning.study.markup import counterexamples, json_text, lines, pairs
from sealserve.scanners import contradictions, findings, pii, prompt_injection, repetition, secrets
from sealserve.stream_safe import normalise as to_normal_form
from tests.growth import LARGEST_RATIO, growth, nasty_texts

pytestmark = pytest.mark.slow  # measures thousands of texts

_HTML = media_types.Claimed(media_type=media_types.MediaType.HTML, charset="")
_JAPANESE = media_types.Claimed(media_type=media_types.MediaType.PLAIN, charset="euc-jp")
_MAIL_JAPANESE = media_types.Claimed(media_type=media_types.MediaType.PLAIN, charset="iso-2022-jp")
_SCHEMA = '{"items": {"pattern": "a*b", "minLength": 2}, "uniqueItems": true}'


READERS: dict[str, Callable[[str], object]] = {
    "decode": lambda text: charsets.decode(text.encode(errors="replace"), _HTML),
    "media type": media_types.claimed,
    "plain text": lambda text: parse.parse(text.encode(), media_type="text/plain"),
    "Markdown": lambda text: parse.parse(text.encode(), media_type="text/markdown"),
    "what Markdown hides": markdown_files.take_out_unshown,
    "recognition": lambda text: recognition.recognise(text.encode(errors="replace"), media_type="text/plain"),
    "declared charset": lambda text: charsets.declared_charset(text.encode(errors="replace")),
    "EUC-JP": lambda text: charsets.decode(text.encode("euc_jp", "replace"), _JAPANESE),
    "ISO-2022-JP": lambda text: charsets.decode(text.encode("iso2022_jp", "replace"), _MAIL_JAPANESE),
    "rows": lambda text: separated_values.read_separated(text, media_type=media_types.MediaType.CSV),
    "rows in plain text": lambda text: separated_values.looks_separated(text.encode(errors="replace")),
    "JSON": json_files.read_json,
    "media query": style_sheets.applies,
    "line ends": line_ends.join_broken_words,
    "PDF glyphs": glyph_soup.is_soup,
    "PDF titles": reading._JUNK_TITLE.search,
    "PDF lines": lambda text: paragraphs.join_lines(text, text),
    "PDF leaders": lambda text: paragraphs._LEADERS.sub(" ", text),
    "screen": lambda text: normalise.screen(text, max_bytes=10**9),
    "title": normalise.clean_title,
    "normal form": lambda text: to_normal_form("NFKC", text),
    "injections": lambda text: list(prompt_injection.injections_in(text)),
    "spotlight": prompt_injection.spotlight,
    "personal data": lambda text: list(pii.personal_in(text)),
    "secrets": secrets.secrets_in,
    "subjects": lambda text: contradictions.subjects_of(text[:200], text),
    "meaning words": contradictions.meaning_words,
    "overlap": lambda text: contradictions.overlap(set(text), contradictions.meaning_words(text)),
    "normalised": answers.normalised,
    "is_right": lambda text: answers.is_right(text, text[: len(text) // 2]),
    "f1": lambda text: answers.f1(text, text),
    "is_unknown": answers.is_unknown,
    "is_refusal": refusals.is_refusal,
    "is_degenerate": degenerate.is_degenerate,
    "is_number": lambda text: numbers.is_number(text, "1"),
    "number_of": numbers.number_of,
    "pattern": lambda text: patterns.matches(text, "(a|b)*c|a*a*b"),
    "schema": lambda text: json_schemas.is_accepted(text, _SCHEMA),
    "pairs": pairs.read_pairs,
    "counterexamples": counterexamples.read_counterexamples,
    "JSON objects": lambda text: list(json_text.objects_in(text)),
    "JSON texts": json_text.texts_in,
    "statements": lambda text: [lines.statement_in(line) for line in text.splitlines()],
    "body": lines.body_of,
    "ungrounded": lambda text: grounding.ungrounded(text, text),
    "names": grounding.names,
    "sentences": writing_systems.sentences_of,
    "whole sentences": sentences.whole_sentences,
    "words": lambda text: list(writing_systems.meaning_words(text)),
    "letters apart": lambda text: writing_systems.joined(writing_systems.with_letters_apart(text)),
    "language": writing_systems.language_of,
    "news": lambda text: repetition.news_in(text, title=text[:50], earlier=repetition.Told(text[: len(text) // 2])),
    "sketch": repetition.sketch_of,
    "places": findings.places_in,
    "roots": grounding.roots,
    "names by number": grounding.subjects_of,
    "heading": lambda text: passages.heading_at(text, len(text) - 1),
    "question": lambda text: sentence_questions.usable_question(
        text, sentence_questions.Sentence(text="It is red."), title="It", passage="It is red."
    ),
}


@pytest.mark.parametrize("reader", READERS)
def test_reading_takes_time_linear_in_the_text(reader: str) -> None:
    slow = {name: growth(READERS[reader], make) for name, make in nasty_texts()}
    assert {name: ratio for name, ratio in slow.items() if ratio > LARGEST_RATIO} == {}


@pytest.mark.parametrize(
    "read", [page_visibility.take_out_hidden, html_pages._main_text, html_to_markdown.to_markdown],
    ids=["what is hidden", "the main text", "Markdown"],
)  # fmt: skip
@pytest.mark.parametrize(
    "unit",
    [
        "<p hidden>a</p>b", "<script></script>a", "<div hidden><b>a</b>", "<p class='a b'>c</p>", "<i>a</i>",
        "<ul><li>a", "<div class='cookie-x'>a</div>", "<button>OK</button>", "<p style='position:absolute'>a</p>",
        "<td>a", "<br>", "<div class=panel hidden>a</div>", "<p style='--a:1;color:var(--a)'>a</p>",
        "<tr><td rowspan=9>a", "<dt>a<dd>b", "<a href='#a'>#</a>", "<pre>a</pre>", "<footer>a</footer>",
        "<del>a</del>", "<ol><li><a href='#b'>a</a></ol>",
    ],
)  # fmt: skip
def test_a_page_is_read_in_time_linear_in_it(read: Callable[[Any], object], unit: str) -> None:
    def parsed(size: int) -> Any:
        return import_module("lxml.html").document_fromstring("<p>x</p>" + unit * (size // len(unit) + 1))

    assert growth(read, parsed) <= LARGEST_RATIO


def test_a_comparison_of_many_statements_ends_at_its_bound() -> None:
    sentences = [f"Zel Lamp costs {number} crowns and {number + 1} more." for number in range(3000)]
    mine, told = (list(contradictions._statements(" ".join(one), ["zel lamp"])) for one in (sentences, sentences[::-1]))
    pairs_seen = list(contradictions._neighbours(mine, told))
    words = sum(len(old.words) + len(new.words) for old, new in pairs_seen)
    assert 0 < words <= contradictions.MAX_COMPARED_WORDS < len(mine) * len(told) * 20
