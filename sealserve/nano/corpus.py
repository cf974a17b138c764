"""From conversations to batches of token ids: deterministic in (seed, block), so that a run can be resumed anywhere.

Knows the tokenizer and the tasks; nothing of models or optimizers.
"""

import random
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from sealserve import prompts
from sealserve.nano import vocabulary
from sealserve.nano.tasks import DEFAULT_MIX, TaskSource
from sealserve.nano.tokenizer import build_tokenizer, encode_chat, pre_tokens
from sealserve.nano.world import DISTRACTORS

_BLOCK_BATCHES = 64  # rows of like length are found within about this many batches
_LENGTHS = (32, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 1024)


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids (rows x length) and where the loss falls; padding stands at the end of rows, without loss."""

    ids: NDArray[np.int64]
    mask: NDArray[np.bool_]


def block(source: TaskSource, tokenizer: Tokenizer, *, seed: int, index: int, tokens: int, ease: float) -> list[Batch]:
    """Return the batches of block `index`, each of about `tokens` tokens, in a random order.

    Rows of like length stand together and shapes are few: kernels are prepared once for each shape. Rows that do
    not fill a batch are dropped.
    """
    rng = random.Random(f"{seed}:{index}")
    lengths = [n for n in _LENGTHS if n <= tokens]
    groups: dict[int, list[tuple[list[int], list[bool]]]] = {n: [] for n in lengths}
    total = 0
    while total < tokens * _BLOCK_BATCHES:
        ids, mask = encode_chat(tokenizer, source.draw(rng, ease))
        length = next((n for n in lengths if len(ids) <= n), None)
        total += len(ids)
        if length is not None:
            groups[length].append((ids, mask))
    batches = []
    for length, rows in groups.items():
        count = tokens // length
        batches += [_pad(rows[i : i + count], length) for i in range(0, len(rows) - count + 1, count)]
    rng.shuffle(batches)
    return batches


def _pad(rows: list[tuple[list[int], list[bool]]], length: int) -> Batch:
    ids = np.zeros((len(rows), length), dtype=np.int64)
    mask = np.zeros((len(rows), length), dtype=np.bool_)
    for i, (row_ids, row_mask) in enumerate(rows):
        ids[i, : len(row_ids)] = row_ids
        mask[i, : len(row_mask)] = row_mask
    return Batch(ids, mask)


def world_tokenizer(seed: int = 0) -> Tokenizer:
    """Return the tokenizer of the world's own words; residents' names and invented names are not among them."""
    mix = {name: weight for name, weight in DEFAULT_MIX.items() if name not in ("closed", "bio")}
    source, rng = TaskSource(seed, mix), random.Random(seed)
    invented = tuple(" " + onset for onset in vocabulary.ONSETS)
    counts: Counter[str] = Counter()
    for _ in range(3000):
        for turn in source.draw(rng, 0.0):
            counts.update(pre_tokens("\n".join(turn)))
    for text in [*DISTRACTORS, prompts.UNKNOWN_ANSWER, prompts.describe("it")]:
        counts.update(pre_tokens(text))
    words = Counter({w: max(n, 50) for w, n in counts.items() if n > 1 and not _is_invented(w, invented)})
    for values in vars(vocabulary).values():
        if isinstance(values, tuple) and values not in (vocabulary.ONSETS, vocabulary.MIDDLES, vocabulary.CODAS):
            words.update({piece: 2000 for value in values for piece in pre_tokens(f" {value}")})
    for names in vocabulary.SECOND_NAMES.values():
        words.update({piece: 2000 for name in names for piece in pre_tokens(f" {name}")})
    return build_tokenizer(words, (*vocabulary.MIDDLES, *vocabulary.CODAS), vocabulary.ONSETS)


def _is_invented(word: str, onsets: tuple[str, ...]) -> bool:
    bare = word.replace("\u0120", " ")
    return bare.startswith(onsets) and bare[-3:] in vocabulary.CODAS and len(bare) == 9
