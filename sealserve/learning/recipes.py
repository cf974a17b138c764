"""Which candidates a cycle trains: the settings' recipe, the model's own wish, and variations of it. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from sealserve.config import LearnSettings
from sealserve.learning.notes import follow_directive
from sealserve.learning.voice import seed_of
from sealserve.prompts import Template
from sealserve.records import Recipe

RATE_STEPS = (0.6, 1.5, 0.4, 2.0)
"""Learning rates of further candidates, as multiples of the first one's: the span around a good rate is about 2."""


def recipes(
    settings: LearnSettings, directives: Sequence[str], *, cycle: str, max_rank: int
) -> tuple[tuple[Recipe, ...], tuple[str, ...]]:
    """Return `settings.candidates` recipes and a note on each directive.

    The first is the settings' own, the second what the model asked for (within bounds), the others vary the
    learning rate. Seeds depend on the cycle alone.
    """
    first = Recipe(
        templates=tuple(Template),
        rank=min(settings.rank, max_rank),
        alpha=settings.alpha,
        learning_rate=settings.learning_rate,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        loss_on_answers=False,
        rehearsal=settings.rehearsal,
        seed=0,
    )
    followed = [follow_directive(text, first, max_rank=max_rank) for text in directives]
    wished = next((recipe for recipe, _ in followed if recipe != first), None)
    varied = [replace(first, learning_rate=first.learning_rate * step) for step in RATE_STEPS]
    wanted = [first, *([wished] if wished else []), *varied]
    while len(wanted) < settings.candidates:
        wanted += wanted[: settings.candidates - len(wanted)]
    chosen = tuple(
        replace(recipe, seed=seed_of(cycle, "train", index))
        for index, recipe in enumerate(wanted[: settings.candidates])
    )
    return chosen, tuple(note for _, note in followed)
