"""Draws the order in which a candidate sees its examples. Pure and seeded."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from sealserve.learning.training.examples import Example, Origin, Pool
from sealserve.records.candidates import Recipe

LEAST_NEW_SHARE = 0.5
"""Of the documents' sequences, if training continues from an adapter that knows the earlier documents."""


def order(
    pool: Pool, recipe: Recipe, *, steps: int, max_source_share: float = 1.0, is_rebuilt: bool = True
) -> tuple[int, ...]:
    """Return which example each of steps x batch_size sequences is, by its place in the pool.

    The share `retention` of them is the retention set; all documents share the rest equally. If training continues
    from an adapter that knows the earlier documents, the new ones have at least half of the rest. No source has more
    than `max_source_share` of the new documents' part while there are others. Every batch has its share of each:
    whatever is missing from several consecutive steps is forgotten.
    """
    rng = random.Random(recipe.seed)
    total = steps * recipe.batch_size
    base = range(len(pool.examples) - pool.retention, len(pool.examples))
    kept = round(total * recipe.retention) if pool.retention else 0
    streams = [_spread(_draw(list(base), kept, rng), rng)]
    least = 0.0 if is_rebuilt else LEAST_NEW_SHARE
    for places, share in _document_shares(pool, recipe, least_new=least, max_source_share=max_source_share):
        streams += [_spread(drawn, rng) for drawn in _draw_kinds(pool, places, round((total - kept) * share), rng)]
    merged = sorted(item for stream in streams for item in stream)
    drawn = [place for _, place in merged][:total]
    return tuple(drawn + drawn[: total - len(drawn)])


def source_shares(origins: Mapping[str, str], *, most: float) -> dict[str, float]:
    """Return each source's share of the new documents' sequences: proportional to its documents, at most `most`.

    What one source loses goes to the others in proportion. With too few sources for `most`, they share equally.
    """
    counts = Counter(origins.values())
    shares = {source: count / counts.total() for source, count in counts.items()}
    limit = max(most, 1 / max(1, len(shares)))
    capped: set[str] = set()
    while above := {source for source, share in shares.items() if share > limit + 1e-9 and source not in capped}:
        capped |= above
        rest = {source: counts[source] for source in shares if source not in capped}
        left = 1 - limit * len(capped)
        shares = {
            source: limit if source in capped else left * counts[source] / sum(rest.values()) for source in shares
        }
    return shares


def is_wanted(example: Example, recipe: Recipe, documents: Iterable[str]) -> bool:
    """Return whether the recipe trains on the example, if it is of one of `documents`."""
    if example.document not in documents:
        return False
    if example.template is None:
        return not recipe.loss_on_answers
    return example.template in recipe.templates


def _document_shares(
    pool: Pool, recipe: Recipe, *, least_new: float, max_source_share: float
) -> list[tuple[list[int], float]]:
    places: dict[str, list[int]] = defaultdict(list)
    for place, example in enumerate(pool.examples):
        if example.document and is_wanted(example, recipe, {example.document}):
            places[example.document].append(place)
    new = [document for document in places if document in pool.new]
    earlier = [document for document in places if document not in pool.new]
    new_share = max(least_new, len(new) / len(places)) if new and earlier else float(bool(new))
    origins = {document: pool.origins.get(document, "") for document in new}
    shares, documents = source_shares(origins, most=max_source_share), Counter(origins.values())
    return [
        (places[document], new_share * shares[origins[document]] / documents[origins[document]]) for document in new
    ] + [(places[document], (1 - new_share) / len(earlier)) for document in earlier]


def _draw_kinds(pool: Pool, places: list[int], n: int, rng: random.Random) -> list[list[int]]:
    kinds: dict[Origin, list[int]] = defaultdict(list)
    for place in places:
        kinds[pool.examples[place].origin].append(place)
    shares = pool.kind_shares
    whole = sum(shares[origin] for origin in kinds)
    return [_draw(members, max(1, round(n * shares[origin] / whole)), rng) for origin, members in sorted(kinds.items())]


def _draw(places: list[int], n: int, rng: random.Random) -> list[int]:
    drawn: list[int] = []
    while places and len(drawn) < n:
        drawn += rng.sample(places, len(places))
    return drawn[:n]


def _spread(drawn: list[int], rng: random.Random) -> list[tuple[float, int]]:
    """Give each draw a time in [0, 1): evenly apart, from a random start."""
    shift = rng.random()
    return [((i + shift) / len(drawn), place) for i, place in enumerate(drawn)]
