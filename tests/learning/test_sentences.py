"""Where sentences of a text end."""

import pytest

from sealserve.learning.sentences import whole_sentences


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
