"""Sequences into rows of tokens: several to a row, each blind to the others, few row lengths, little padding.

Rows belong to slots, `rows` of them each, slot after slot. Knows nothing of adapters and losses.

Shapes: B rows, L tokens a row, N answer tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

ROW_LENGTHS = (*range(16, 129, 16), *range(160, 257, 32), 384, 512)
"""Lengths of rows; longer ones are multiples of 512. Few, because each new shape costs the CPU its kernels."""

MASKED = -1e30  # finite, so that a row of padding has a softmax

PACKED_TOKENS = 128
"""Short sequences are packed into rows up to this long: in longer ones attention costs more than padding saves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A sequence as it is packed: its ids, where its answer starts, and what the caller knows it by."""

    key: int
    ids: list[int]
    answer_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Packed sequences. `picks_N` are the tokens, by place in B x L, that predict the answer tokens `labels_N`.

    Answer tokens stand slot after slot; those of one sequence are together, its key in `keys` once for each.
    """

    ids_BL: Tensor
    positions_BL: Tensor
    documents_BL: Tensor
    rows: int
    picks_N: Tensor
    labels_N: Tensor
    slots_N: Tensor
    lengths: list[int]  # answer tokens of each sequence
    keys: list[int]  # of each sequence
    tokens: int  # that are not padding

    def mask(self) -> Tensor:
        """Return mask_B1LL, to be added to scores: a token sees itself and what precedes it in its own document."""
        length = self.ids_BL.shape[1]
        causal_LL = torch.ones((length, length), dtype=torch.bool, device=self.ids_BL.device).tril()
        same_BLL = self.documents_BL[:, :, None] == self.documents_BL[:, None, :]
        seen_BLL = same_BLL & causal_LL
        return torch.zeros(seen_BLL.shape, device=seen_BLL.device).masked_fill_(~seen_BLL, MASKED)[:, None]


def pack(slots: Sequence[Sequence[Piece]], *, device: torch.device, together: bool = True) -> Rows:
    """Return the pieces of each slot in rows, as many for each slot; unless `together`, one piece to a row."""
    length = _row_length(slots, together=together)
    placed = [_first_fit(pieces, length if together else 0) for pieces in slots]
    rows = max(len(bins) for bins in placed)
    shape = (len(slots) * rows, length)
    ids_BL, positions_BL = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    documents_BL = np.zeros(shape, dtype=np.int64)
    picks: list[np.ndarray] = []
    labels: list[int] = []
    lengths: list[int] = []
    keys: list[int] = []
    of_slot: list[int] = []
    for slot, bins in enumerate(placed):
        for row, pieces in enumerate(bins, start=slot * rows):
            at = 0
            for document, piece in enumerate(pieces, start=1):
                end = at + len(piece.ids)
                ids_BL[row, at:end] = piece.ids
                positions_BL[row, at:end] = np.arange(end - at)
                documents_BL[row, at:end] = document
                first = row * length + at + piece.answer_start - 1
                lengths.append(len(piece.ids) - piece.answer_start)
                picks.append(np.arange(first, first + lengths[-1]))
                labels += piece.ids[piece.answer_start :]
                keys.append(piece.key)
                at = end
        of_slot.append(sum(lengths) - sum(of_slot))
    slots_N = np.repeat(np.arange(len(slots)), of_slot)
    return Rows(
        ids_BL=torch.from_numpy(ids_BL).to(device),
        positions_BL=torch.from_numpy(positions_BL).to(device),
        documents_BL=torch.from_numpy(documents_BL).to(device),
        rows=rows,
        picks_N=torch.from_numpy(np.concatenate(picks)).to(device),
        labels_N=torch.tensor(labels, device=device),
        slots_N=torch.from_numpy(slots_N).to(device),
        lengths=lengths,
        keys=keys,
        tokens=int((documents_BL > 0).sum()),
    )


def _row_length(slots: Sequence[Sequence[Piece]], *, together: bool) -> int:
    longest = max(len(piece.ids) for pieces in slots for piece in pieces)
    whole = max(sum(len(piece.ids) for piece in pieces) for pieces in slots)
    wanted = max(longest, min(whole, PACKED_TOKENS)) if together else longest
    return next((length for length in ROW_LENGTHS if length >= wanted), -(-wanted // 512) * 512)


def _first_fit(pieces: Sequence[Piece], length: int) -> list[list[Piece]]:
    """Longest first, each into the first row that has room (first-fit decreasing, Johnson 1973)."""
    bins: list[list[Piece]] = []
    room: list[int] = []
    for piece in sorted(pieces, key=lambda piece: -len(piece.ids)):
        place = next((i for i, left in enumerate(room) if left >= len(piece.ids)), len(bins))
        if place == len(bins):
            bins.append([])
            room.append(length)
        bins[place].append(piece)
        room[place] -= len(piece.ids)
    return bins
