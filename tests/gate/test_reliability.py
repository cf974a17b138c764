"""Reliability coefficients against a published example, and against what they should see in made-up scores."""

import numpy as np
import pytest

from sealserve.gate.reliability import reliability, standard_error

SHROUT_FLEISS = ((9, 2, 5, 8), (6, 1, 3, 2), (8, 4, 6, 8), (7, 1, 2, 6), (10, 5, 6, 9), (6, 2, 4, 7))
"""Table 2 of the paper: six targets, four judges."""


def test_the_papers_example_gives_the_papers_coefficients() -> None:
    found = reliability(SHROUT_FLEISS, range(6))
    assert found.over_items == pytest.approx(0.91, abs=0.005)  # ICC(3, 4)
    single = [[score] for row in SHROUT_FLEISS for score in row]
    recipes = [target for target in range(6) for _ in range(4)]
    assert reliability(single, recipes).over_seeds == pytest.approx(0.17, abs=0.005)  # ICC(1, 1)


def test_differences_that_are_only_seeds_are_worth_nothing_and_real_ones_nearly_all() -> None:
    rng = np.random.default_rng(0)
    recipes = [recipe for recipe in range(8) for _ in range(4)]
    noise = rng.normal(0, 1, size=(32, 30)) + rng.normal(0, 1, size=(32, 1))
    found = reliability(noise.tolist(), recipes)
    assert found.over_seeds is not None
    assert found.over_seeds < 0.4
    real = rng.normal(0, 0.1, size=(32, 30)) + 3 * np.asarray(recipes)[:, None]
    found = reliability(real.tolist(), recipes)
    assert found.over_seeds is not None
    assert found.over_seeds > 0.95
    assert found.between_candidates == pytest.approx(np.var(3 * np.arange(8), ddof=1), rel=0.05)


def test_what_was_not_repeated_is_not_known() -> None:
    one_seed = reliability([[1.0, 2.0, 3.0], [2.0, 2.5, 4.5]], [0, 1])
    assert one_seed.over_seeds is None
    assert one_seed.between_seeds is None
    assert one_seed.over_items is not None
    alone = reliability([[1.0, 2.0]], [0])
    assert (alone.between_candidates, alone.over_items, alone.over_seeds) == (None, None, None)
    nothing = reliability([], [])
    assert (nothing.candidates, nothing.item_error) == (0, None)
    same = reliability([[1.0, 1.0], [1.0, 1.0]], [0, 1])
    assert same.over_items is None


def test_unequal_rows_and_single_values_are_refused() -> None:
    with pytest.raises(ValueError, match="same items"):
        reliability([[1.0], [1.0, 2.0]], [0, 1])
    with pytest.raises(ValueError, match="two values"):
        standard_error([1.0])
