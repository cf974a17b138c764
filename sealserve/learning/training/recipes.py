"""Which candidates a cycle trains: the settings' recipe, the model's directives, and variations of them. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from sealserve.learning.engine_client import seed_of
from sealserve.learning.study.self_edit_text import follow_directive
from sealserve.prompts import BUILT_IN, Template
from sealserve.records.candidates import Recipe, Target
from sealserve.settings.learn import LearnSettings


class Shape(Protocol):
    """What candidates that go on from an adapter share with it."""

    @property
    def rank(self) -> int:
        """LoRA rank."""

    @property
    def alpha(self) -> int:
        """LoRA alpha."""


def recipes(
    settings: LearnSettings,
    directives: Sequence[str],
    *,
    cycle: str,
    max_rank: int,
    tenant: str = "",
    start: Shape | None = None,
) -> tuple[tuple[Recipe, ...], tuple[str, ...]]:
    """Return as many recipes as the settings have candidates, each once per seed, and a note on each directive.

    The first is the settings' own, the second what the model asked for (within bounds), the others vary the
    learning rate, and then come the model's further wishes; each towards every target of the settings in turn. Seeds
    depend on the cycle alone. Candidates that go on from an adapter have its rank.
    """
    first = Recipe(
        templates=(*BUILT_IN, *((Template.FREE,) if settings.study.recipe_of(tenant) else ())),
        rank=start.rank if start else min(settings.training.rank, max_rank),
        alpha=start.alpha if start else settings.training.alpha,
        learning_rate=settings.training.learning_rate,
        epochs=settings.training.epochs,
        batch_size=settings.training.batch_size,
        loss_on_answers=False,
        retention=settings.training.retention,
        kl_weight=settings.training.kl_weight,
        protected_share=settings.training.protected_share,
        strength=1.0 if start else settings.training.strength,  # of `start` itself nothing is to be taken away
        seed=0,
    )
    followed = [follow_directive(text, first, max_rank=max_rank, is_rank_free=start is None) for text in directives]
    wished = list(dict.fromkeys(recipe for recipe, _ in followed if recipe != first))
    varied = [replace(first, learning_rate=first.learning_rate * step) for step in settings.training.rate_steps]
    ways = [first, *wished[:1], *varied, *wished[1:]]
    wanted = [replace(way, target=Target(target)) for way in ways for target in settings.training.targets]
    while len(wanted) < settings.training.candidates:
        wanted += wanted[: settings.training.candidates - len(wanted)]
    tried = wanted[: settings.training.candidates] * settings.training.seeds
    chosen = tuple(replace(recipe, seed=seed_of(cycle, "train", index)) for index, recipe in enumerate(tried))
    return chosen, tuple(note for _, note in followed)
