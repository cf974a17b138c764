"""Where sentences of a text end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealserve.learning import sentences as module
from sealserve.learning.sentences import whole_sentences

PIECES = st.sampled_from(
    ["B", "é", "中", "ท", "2", ". ", "?", "。", '"', "“", "(", "\u00a0", "\u0085", "\u2028", "\n", "Dr. "]
)


@pytest.mark.parametrize(
    "sentences",
    [
        ["The ruling of the U.S. Court of Appeals stands.", "It names no costs."],
        ["C. J. Anderson of St. Mary's led, e.g. in May by 3.5 points.", "Then he left."],
        ["Das gilt z. B. am 3. Mai bzw. bei Dr. Huber.", "Danach nicht mehr."],
        ["returns take nine days.", "refunds take two."],
        ['He said "We have won."', "The others left."],
        ["返品は九日以内です。", "送料は無料です。"],
        ["यह एक वाक्य है।", "यह दूसरा वाक्य है।"],
        ["สินค้าคืนได้ภายในเก้าวัน", "กรุณาเก็บใบเสร็จ"],
    ],
)
def test_abbreviations_end_no_sentence(sentences: list[str]) -> None:
    assert whole_sentences(" ".join(sentences)) == sentences


def test_each_line_ends_a_sentence() -> None:
    assert whole_sentences("# Returns\n\n- nine days\n- no fee  \n") == ["# Returns", "- nine days", "- no fee"]


def test_nothing_has_no_sentences() -> None:
    assert whole_sentences(" \n ") == []


def test_a_long_line_loses_nothing() -> None:
    sentences = [f"The price of item {number} is ten crowns, see Fig. {number}." for number in range(500)]
    found = whole_sentences(" ".join(sentences))
    assert " ".join(found) == " ".join(sentences)
    assert len(set(sentences) - set(found)) < 20  # one in 2,000 characters may be cut at its abbreviation


@given(text=st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_nothing_but_spaces_is_lost(text: str) -> None:
    assert "".join(" ".join(whole_sentences(text)).split()) == "".join(text.split())


def test_a_no_break_space_before_a_full_stop_is_a_space() -> None:
    assert whole_sentences("By A. B\u00a0. Then he left.") == ["By A. B .", "Then he left."]


def test_a_panic_of_the_library_costs_abbreviations_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})

    def fail(code: str, text: str) -> list[str]:
        raise panic(text)

    monkeypatch.setattr(module, "segment", fail)
    assert whole_sentences("The U.S. Court ruled. He left.") == ["The U.S.", "Court ruled.", "He left."]
