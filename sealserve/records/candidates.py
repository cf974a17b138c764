"""Candidates: adapters in training, and the recipes they are trained by."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from sealserve.prompts import Template
from sealserve.records.renamed_fields import renamed


class Target(StrEnum):
    """What the loss trains new answers towards."""

    LIKELIHOOD = "likelihood"  # a high likelihood
    DISTILLATION = "distillation"  # the model's own answers with the document in context (arXiv 2412.14964)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one candidate is trained. LoRA per arXiv 2106.09685; scaling is alpha / rank."""

    templates: tuple[Template, ...]
    rank: int
    alpha: int
    learning_rate: float
    epochs: int
    batch_size: int
    loss_on_answers: bool  # False: loss on the document's own text too
    retention: Annotated[
        float, renamed("retention")
    ]  # share of sequences that keep base skills; documents share the rest
    seed: int
    target: Target = Target.LIKELIHOOD
    kl_weight: Annotated[float, renamed("kl_weight")] = 30.0  # of the KL divergence on the retention set; see below
    weight_change_penalty: Annotated[float, renamed("weight_change_penalty")] = 0.0
    """Weight of the penalty on weight change, squared and relative to the base's weights."""
    protected_share: float = 0.0
    """Share of the energy of the layers' inputs on the retention set, in directions that the adapter does not read."""
    strength: float = 1.0
    """Share of the trained weight change that the adapter gets: between the base's weights and the trained ones lie
    some that lose fewer old skills than new ones (WiSE-FT, arXiv 2109.01903)."""
    stop_loss: float = 0.0  # training ends once ten steps in a row have had a lower mean loss; 0: never early

    # kl_weight, where new answers weigh 1: embedded model, seven earlier articles beside a new one, 200 steps, two
    # seeds: old skills lose 0.014 at weight 20, 0.007 at 30, 0.003 at 45; of what the articles say 0.997, 0.994 and
    # 0.984 is right.


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A trained adapter that is not a version yet."""

    cycle: str
    index: int
    recipe: Recipe
    artifact: str  # digest of its manifest in the artifact store
    final_loss: float
    seconds: float
