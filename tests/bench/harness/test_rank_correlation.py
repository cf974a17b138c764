"""Rank correlations within documents, and what cannot be ranked."""

import pytest

from sealserve.bench.harness.rank_correlation import Row, agreement
from sealserve.bench.learning.reward import WAYS, coverage
from sealserve.prompts import Template
from sealserve.records.cycles import SelfEdit


def test_a_reward_that_ranks_as_the_truth_does_has_correlation_one_whatever_its_scale() -> None:
    documents: list[list[Row]] = [[(10 * place + truth**3, truth) for truth in (0.1, 0.5, 0.9)] for place in range(4)]
    found = agreement(documents)
    assert (found.spearman, found.low, found.high, found.kendall) == (1.0, 1.0, 1.0, 1.0)
    assert found.picked == 0.9


def test_a_reward_that_cannot_tell_is_no_correlation_and_one_the_other_way_is_minus_one() -> None:
    assert agreement([[(1.0, 0.1), (1.0, 0.5), (1.0, 0.9)]]).spearman == 0.0
    assert agreement([[(1.0, 0.1), (1.0, 0.5), (1.0, 0.9)]]).ties == 1
    assert agreement([[(3.0, 0.1), (2.0, 0.5), (1.0, 0.9)]]).spearman == pytest.approx(-1.0)


def test_documents_whose_candidates_are_all_alike_and_candidates_without_a_score_are_left_out() -> None:
    rows: list[Row] = [(1.0, 0.1), (None, 0.2), (2.0, 0.5), (3.0, 0.9)]
    found = agreement([rows, [(1.0, 0.5), (2.0, 0.5), (3.0, 0.5)]])
    assert (found.documents, found.unmeasured) == (1, 1)
    with pytest.raises(ValueError, match="differ"):
        agreement([[(1.0, 0.5), (2.0, 0.5), (3.0, 0.5)]])


def self_edit(template: Template, text: str) -> SelfEdit:
    return SelfEdit(
        tenant="t", cycle="c", self_edit=text, document="d", template=template, text=text, seed=0, admitted=True,
        reason="",
    )  # fmt: skip


def test_coverage_counts_names_and_numbers_of_the_document() -> None:
    text = "The lamp was made by Orla Finch. It costs 45 crowns."
    assert coverage(text, [self_edit(Template.QA, "It costs 45 crowns and Orla knows.")]) == pytest.approx(2 / 3)
    assert coverage(text, []) == 0.0


def test_ways_take_the_notes_they_name() -> None:
    written = [self_edit(Template.QA, f"q{place}") for place in range(5)] + [self_edit(Template.REWRITE, "r")]
    assert len(WAYS["qa, few"].select(written)) == 1
    assert len(WAYS["all"].select(written)) == 6
    assert WAYS["text alone"].select(written) == ()
