"""Tokenizes a job's sequences, and gives each attempt its batches of them."""

import asyncio
import random
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sealserve.engine.chat import Chat
from sealserve.errors import TrainingFailed
from sealserve.learning.training_job import Attempt, Sequence
from sealserve.records.inference import ChatTurn

BUCKET_BATCHES = 10
"""Sequences of this many batches are sorted by length before they are cut into batches, new and kept ones apart. At
each step every attempt takes the batch of the same place in that order, so that batches that share a step are alike
in length."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one sequence; the loss falls on those from `answer_start` on.

    `taught_ids`: the same answer behind the teacher's prompt, from `taught_start` on; empty without one.
    """

    ids: list[int]
    answer_start: int
    is_kept: bool
    taught_ids: list[int]
    taught_start: int


def encode(sequences: tuple[Sequence, ...], *, base: Path) -> list[Encoded]:
    """Return the sequences in the base's chat format. Raises: BadConfig (no tokenizer in `base`)."""
    return asyncio.run(_encode(sequences, base))


def batches(attempt: Attempt, encoded: list[Encoded]) -> list[list[int]]:
    """Return which sequences each step of the attempt takes; it depends on the attempt alone.

    Every batch has its share of the kept sequences: what a few steps in a row leave out is forgotten.
    Raises: TrainingFailed (the attempt names too few sequences for its steps).
    """
    size = attempt.recipe.batch_size
    window = size * BUCKET_BATCHES
    cut: list[list[int]] = []
    for start in range(0, len(attempt.order), window):
        rows = sorted(attempt.order[start : start + window], key=lambda row: len(encoded[row].ids))
        of_window = _cut(rows, encoded, size=size)
        random.Random(start // window).shuffle(of_window)
        cut += of_window
    if len(cut) < max(1, attempt.steps):
        raise TrainingFailed(
            f"candidate {attempt.index} has {len(attempt.order)} sequences to train on, too few for {attempt.steps} "
            f"steps of {size}"
        )
    return cut[: attempt.steps]


def _cut(rows: list[int], encoded: list[Encoded], *, size: int) -> list[list[int]]:
    """Return the rows in batches, in order, the kept ones spread evenly over them."""
    kept = [row for row in rows if encoded[row].is_kept]
    new = iter([row for row in rows if not encoded[row].is_kept])
    count = -(-len(rows) // size)
    of_batches = [kept[len(kept) * place // count : len(kept) * (place + 1) // count] for place in range(count)]
    return [[*of_batch, *islice(new, size - len(of_batch))] for of_batch in of_batches]


def parts(batches: list[list[int]], encoded: list[Encoded], *, tokens: int, together: bool) -> list[list[list[int]]]:
    """Cut every slot's batch into equally many parts, as few as hold at most `tokens` tokens of all slots each.

    If not even single sequences do, a part holds one sequence of each slot. `together`: as for `pack`.
    """
    found: list[list[list[int]]] = []
    for count in range(1, max(map(len, batches)) + 1):
        found = [[batch[part::count] for batch in batches] for part in range(count)]
        if max(tokens_of(part, encoded, together=together) for part in found) <= tokens:
            break
    return found


def tokens_of(batches: list[list[int]], encoded: list[Encoded], *, together: bool) -> int:
    """Return how many tokens the batches of all slots take, as they are packed."""
    lengths = [[len(encoded[row].ids) for row in batch] for batch in batches]
    if together:
        return sum(map(sum, lengths))
    return len(batches) * max(map(len, lengths)) * max(max(of_batch, default=0) for of_batch in lengths)


async def _encode(sequences: tuple[Sequence, ...], base: Path) -> list[Encoded]:
    chat = Chat.open(base)
    encoded = []
    for sequence in sequences:
        answer = chat.completion_ids(sequence.completion)
        prompt = await _prompt(chat, sequence.prompt)
        teacher = await _prompt(chat, sequence.teacher_prompt) if sequence.teacher_prompt is not None else []
        encoded.append(
            Encoded(
                [*prompt, *answer], len(prompt), sequence.is_kept, [*teacher, *answer] if teacher else [], len(teacher)
            )
        )
    return encoded


async def _prompt(chat: Chat, text: str) -> list[int]:
    return await chat.prompt_ids((ChatTurn(role="user", content=text),))
