"""Batches are alike in length, and each of them rehearses."""

import random
from dataclasses import replace

import pytest

from sealserve.errors import TrainingFailed
from sealserve.learning.multi_lora.batches import Encoded, batches
from sealserve.learning.training_job import Attempt
from sealserve.records.candidates import Recipe

RECIPE = Recipe(
    templates=(),
    rank=4,
    alpha=8,
    learning_rate=1e-3,
    epochs=1,
    batch_size=12,
    loss_on_answers=True,
    retention=0.45,
    seed=3,
)
STEPS = 40


def real_lengths() -> list[Encoded]:
    """Return 60 short kept sequences, as rehearsed questions are, and 90 notes of up to 400 tokens."""
    rng = random.Random(0)
    lengths = [(rng.randint(15, 60), True) for _ in range(60)] + [(rng.randint(30, 400), False) for _ in range(90)]
    return [Encoded([1] * length, length // 2, is_kept, [], 0) for length, is_kept in lengths]


def drawn(*, share: float = 0.45) -> Attempt:
    """Return an attempt whose every batch of 12 has 5 or 6 kept sequences, as the sampler draws them."""
    rng = random.Random(1)
    order = [
        rng.randrange(60) if int((at + 1) * share) > int(at * share) else 60 + rng.randrange(90)
        for at in range(STEPS * RECIPE.batch_size)
    ]
    return Attempt(index=0, recipe=RECIPE, steps=STEPS, order=tuple(order))


def test_every_batch_has_its_share_of_kept_sequences() -> None:
    encoded, attempt = real_lengths(), drawn()
    shares = [sum(encoded[row].is_kept for row in batch) for batch in batches(attempt, encoded)]
    assert set(shares) <= {5, 6}
    assert {len(batch) for batch in batches(attempt, encoded)} == {12}


def test_every_sequence_is_taken_as_often_as_it_was_drawn() -> None:
    encoded = real_lengths()
    for share in (0.0, 0.45, 1.0):
        attempt = drawn(share=share)
        assert sorted(row for batch in batches(attempt, encoded) for row in batch) == sorted(attempt.order)


def test_new_sequences_of_a_batch_are_alike_in_length() -> None:
    encoded, attempt = real_lengths(), drawn()
    spreads = []
    for batch in batches(attempt, encoded):
        lengths = [len(encoded[row].ids) for row in batch if not encoded[row].is_kept]
        spreads.append(max(lengths) - min(lengths))
    assert sum(spreads) / len(spreads) < 80  # 300 as drawn


@pytest.mark.parametrize("order", [(), (0,) * 24])
def test_an_attempt_without_enough_sequences_is_refused_by_name(order: tuple[int, ...]) -> None:
    with pytest.raises(TrainingFailed, match=r"candidate 0 .* too few"):
        batches(replace(drawn(), order=order), real_lengths())
