"""Documents cut into passages: nothing is lost and nothing is too long."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sealserve.learning.study.passages import cut, heading_at, split_spans


async def count(text: str) -> int:
    return len(text.split()) + 2


async def test_a_short_document_is_one_passage() -> None:
    (only,) = await cut("d", title="t", text="One. Two.", max_tokens=50, count=count)
    assert (only.start, only.end) == (0, 9)


async def test_a_long_document_is_cut_between_sentences() -> None:
    text = " ".join(f"Sentence number {i} is here." for i in range(100))
    passages = await cut("d", title="t", text=text, max_tokens=40, count=count)
    parts = [text[passage.start : passage.end] for passage in passages]
    assert "".join(parts) == text
    assert all([await count(part) <= 40 for part in parts])
    assert all(part.strip().startswith("Sentence") for part in parts)


async def test_one_endless_sentence_is_cut_all_the_same() -> None:
    text = "word " * 300
    passages = await cut("d", title="t", text=text, max_tokens=40, count=count)
    assert "".join(text[p.start : p.end] for p in passages) == text
    assert all([await count(text[p.start : p.end]) <= 40 for p in passages])


async def test_an_empty_document_has_no_passages() -> None:
    assert await cut("d", title="t", text=" \n ", max_tokens=40, count=count) == ()


@given(st.text(max_size=400), st.integers(1, 50))
def test_spans_follow_each_other_and_stay_short(text: str, size: int) -> None:
    spans = split_spans(text, max_characters=size)
    assert all(end - start <= size for start, end in spans)
    assert all(left[1] <= right[0] for left, right in pairwise(spans))
    kept = "".join(text[a:b] for a, b in spans)
    assert "".join(kept.split()) == "".join(text.split()) or any(len(w) > size for w in text.split())


async def test_every_piece_of_a_long_document_knows_which_it_is() -> None:
    text = " ".join(f"Sentence number {i} is here." for i in range(40))
    passages = await cut("d", title="t", text=text, max_tokens=40, count=count)
    assert [(p.part, p.parts) for p in passages] == [(i + 1, len(passages)) for i in range(len(passages))]
    assert len(passages) > 2


async def test_markdown_is_cut_at_its_headings() -> None:
    text = "\n\n".join(f"# Heading {i}\n\n{'Words are here. ' * 6}\n\n{'More words. ' * 6}" for i in range(6))
    passages = await cut("d", title="t", text=text, max_tokens=40, count=count, media_type="text/markdown")
    assert [text[p.start : p.end].startswith("# Heading") for p in passages] == [True] * 6


def test_a_piece_knows_the_heading_that_it_stands_under() -> None:
    text = "# Returns\nGoods go back.\n## Fees\nEighty crowns.\n"
    assert heading_at(text, text.index("Goods")) == "Returns"
    assert heading_at(text, text.index("## Fees")) == "Fees"
    assert heading_at(text, len(text) - 1) == "Fees"
    assert heading_at("No heading.", 3) == ""
