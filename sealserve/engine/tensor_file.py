"""Read a safetensors file with nothing but numpy: its header first, then single tensors, every bound checked.

The format: eight bytes of little-endian header length, a JSON header, then the tensors' bytes
(https://huggingface.co/docs/safetensors, "Format").
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit on its header."""

FLOAT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_ITEM_BYTES = FLOAT_BYTES | {"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1}
_ITEM_BYTES |= {"F8_E4M3": 1, "F8_E5M2": 1}


class BrokenTensorFile(ValueError):
    """The bytes are not a whole, well-formed safetensors file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """One tensor of the file; `start` and `end` are byte positions in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_header(path: Path, *, max_header_bytes: int = MAX_HEADER_BYTES) -> dict[str, TensorEntry]:
    """Return the file's tensors by name, without reading any of them.

    Raises: BrokenTensorFile (cut short, oversized or malformed header, extents outside the file, sizes that do not
    match their shapes), OSError.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        length = int.from_bytes(head, "little")
        if len(head) < 8 or length > size - 8:
            raise BrokenTensorFile("the file is cut short: its header does not fit in it")
        if length > max_header_bytes:
            raise BrokenTensorFile(f"the header has {length} bytes; at most {max_header_bytes} are read")
        text = file.read(length)
    return {entry.name: entry for entry in _entries(_parse(text), base=8 + length, size=size)}


def read_floats(path: Path, entry: TensorEntry) -> NDArray[np.floating[Any]]:
    """Return one floating-point tensor; bfloat16, which numpy lacks, comes widened to float32.

    Raises: BrokenTensorFile (not a floating-point tensor, or the file shrank), OSError.
    """
    if entry.dtype not in FLOAT_BYTES:
        raise BrokenTensorFile(f"tensor {entry.name!r} holds {entry.dtype}, not floating-point numbers")
    with path.open("rb") as file:
        file.seek(entry.start)
        raw = file.read(entry.end - entry.start)
    if len(raw) != entry.end - entry.start:
        raise BrokenTensorFile(f"the file is cut short inside tensor {entry.name!r}")
    if entry.dtype == "BF16":
        widened = np.frombuffer(raw, dtype="<u2").astype(np.uint32) << 16
        return widened.view(np.float32).reshape(entry.shape)
    kind = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[entry.dtype]
    values: NDArray[np.floating[Any]] = np.frombuffer(raw, dtype=kind).reshape(entry.shape)
    return values


def _parse(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BrokenTensorFile("the header is not JSON") from error
    if not isinstance(header, dict):
        raise BrokenTensorFile("the header is not a JSON object")
    header.pop("__metadata__", None)
    return header


def _entries(header: dict[str, Any], *, base: int, size: int) -> list[TensorEntry]:
    entries = sorted((_entry(name, fields, base=base) for name, fields in header.items()), key=lambda e: e.start)
    position = base
    for entry in entries:
        if entry.start != position:
            raise BrokenTensorFile(f"tensor {entry.name!r} overlaps another or leaves a gap")
        position = entry.end
    if position != size:
        raise BrokenTensorFile(f"the file has {size} bytes but its header describes {position}")
    return entries


def _entry(name: str, fields: Any, *, base: int) -> TensorEntry:
    try:
        dtype, shape, (start, end) = fields["dtype"], fields["shape"], fields["data_offsets"]
        well_formed = all(type(n) is int and n >= 0 for n in (*shape, start, end))
        fits = well_formed and end - start == math.prod(shape) * _ITEM_BYTES[dtype]
    except (KeyError, TypeError, ValueError) as error:
        raise BrokenTensorFile(f"the header's entry {name!r} is malformed") from error
    if not fits:
        raise BrokenTensorFile(f"tensor {name!r} does not fill the bytes it claims")
    return TensorEntry(name=name, dtype=dtype, shape=tuple(shape), start=base + start, end=base + end)
