"""Packs sequences into rows of tokens: one row with documents end to end, and an index of where each one starts.

Models whose layers carry state from token to token get a row for each sequence instead. Tokens are grouped by slot.

Shapes: B rows, L tokens a row, T tokens, N answer tokens, D documents, M tokens of the longest document.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

MULTIPLE = 8
"""Tokens of a slot, and of a row, are padded to a multiple: products over groups want it on CUDA (16 bytes of
bfloat16), and each new shape costs the CPU its kernels (1 ms each, of ten kinds a layer)."""

CPU_MULTIPLE = 64
"""Tokens of the one row are padded to a multiple on the CPU, for the same reason, by a document of no slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A sequence as it is packed: its ids, where its answer starts, and what the caller knows it by."""

    key: int
    ids: list[int]
    answer_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """Which of T tokens stand where, document by document; every token is of one of them.

    `places_DM`: the token there, a document's last one behind its end, which `is_token_DM` tells apart.
    `back_T`: where in D x M each token stands. `of_heads`: what attention worked out from them, by number of heads.
    """

    places_DM: Tensor
    is_token_DM: Tensor
    back_T: Tensor
    of_heads: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Sequences, ready for the model. `picks_N` are the tokens, by place in B x L, that predict the answer tokens.

    Answer tokens stand slot after slot; those of one sequence are together, its key in `keys` once for each.
    """

    ids_BL: Tensor
    is_token_BL: Tensor  # False: padding
    positions_BL: Tensor
    documents: Documents | None  # of the one row; None: a row for each sequence
    counts: list[int]  # tokens of each slot, padding included; what follows is of none
    picks_N: Tensor
    labels_N: Tensor
    slots_N: Tensor
    lengths: list[int]  # answer tokens of each sequence
    keys: list[int]  # of each sequence


def pack(slots: Sequence[Sequence[Piece]], *, device: torch.device, together: bool = True) -> Rows:
    """Return the pieces of each slot in rows: all in one, or, unless `together`, as many rows for each slot.

    A slot may have none, but not all of them. Padding goes on where a slot's last document ends, or behind a row's
    sequence: nothing looks back from there.
    """
    if together:
        held = [_extended(pieces) for pieces in slots]
        counts = [sum(of_slot) for of_slot in held]
    else:
        length = _up(max(len(piece.ids) for pieces in slots for piece in pieces))
        rows = max(len(pieces) for pieces in slots)
        held = [[length] * rows for _ in slots]
        counts = [length * rows for _ in slots]
    tail = -sum(counts) % CPU_MULTIPLE if together and device.type == "cpu" else 0
    lengths_D = np.array([length for of_slot in held for length in of_slot] + [tail] * (tail > 0))
    starts_D = np.cumsum(lengths_D) - lengths_D
    ids_T = np.zeros(lengths_D.sum(), dtype=np.int64)
    is_token_T = np.zeros(len(ids_T), dtype=np.bool_)
    picks, of_slot_N, answers, place = [], [], [], 0
    for slot, pieces in enumerate(slots):
        for start, piece in zip(starts_D[place:], pieces, strict=False):
            ids_T[start : start + len(piece.ids)] = piece.ids
            is_token_T[start : start + len(piece.ids)] = True
            answers.append(len(piece.ids) - piece.answer_start)
            picks.append(np.arange(answers[-1]) + start + piece.answer_start - 1)
            of_slot_N += [slot] * answers[-1]
        place += len(held[slot])
    positions_T = np.arange(len(ids_T)) - np.repeat(starts_D, lengths_D)
    shape = (1, -1) if together else (len(lengths_D), -1)
    return Rows(
        ids_BL=torch.from_numpy(ids_T).view(shape).to(device),
        is_token_BL=torch.from_numpy(is_token_T).view(shape).to(device),
        positions_BL=torch.from_numpy(positions_T).view(shape).to(device),
        documents=_documents(starts_D, lengths_D, device=device) if together else None,
        counts=counts,
        picks_N=torch.from_numpy(np.concatenate(picks)).to(device),
        labels_N=torch.tensor([i for pieces in slots for p in pieces for i in p.ids[p.answer_start :]], device=device),
        slots_N=torch.tensor(of_slot_N, device=device),
        lengths=answers,
        keys=[piece.key for pieces in slots for piece in pieces],
    )


def _extended(pieces: Sequence[Piece]) -> list[int]:
    if not pieces:
        return [MULTIPLE]  # padding alone
    lengths = [len(piece.ids) for piece in pieces]
    return [*lengths[:-1], lengths[-1] + _up(sum(lengths)) - sum(lengths)]


def _up(tokens: int) -> int:
    return -(-tokens // MULTIPLE) * MULTIPLE


def _documents(starts_D: np.ndarray, lengths_D: np.ndarray, *, device: torch.device) -> Documents:
    steps_M = np.arange(_up(lengths_D.max()))
    is_token_DM = steps_M < lengths_D[:, None]
    places_DM = starts_D[:, None] + np.minimum(steps_M, lengths_D[:, None] - 1)
    return Documents(
        places_DM=torch.from_numpy(places_DM).to(device),
        is_token_DM=torch.from_numpy(is_token_DM).to(device),
        back_T=torch.from_numpy(np.flatnonzero(is_token_DM)).to(device),
    )
