"""The shape of an adapter's weight change, read from its file, and how far it is from the tenant's earlier ones.

Poisoned adapters put their change into few directions and few layers; no model is run (arXiv 2602.15195). Judges
nothing: policy has the bounds (`adapter.promote`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sealserve.engine.preflight import WEIGHTS_FILE
from sealserve.engine.tensor_file import BrokenTensorFile, read_floats, read_header

_A, _B = ".lora_A.weight", ".lora_B.weight"
_LEAST_SPREAD = 0.1
"""Of the median: history so even that a tenth of it is far away would make every change look strange."""

Features = Mapping[str, float]


def spectrum(path: Path) -> Features:
    """Return the features of the adapter in directory `path`; none when its weights cannot be read.

    For dW = B A of every module: `top_share`, the largest part of its squared Frobenius norm in one direction, and
    the mean `mean_share`; `norm_spread`, the standard deviation of log norms over modules; `kurtosis` of its factors.
    """
    try:
        parts = _factors(path / WEIGHTS_FILE)
    except (BrokenTensorFile, OSError):
        return {}
    values = [_singular_values(a, b) for a, b in parts]
    squares = [one**2 for one in values if one[0] > 0]
    if not squares:
        return {}
    shares = [float(one[0] / one.sum()) for one in squares]
    norms = np.log([float(one.sum()) for one in squares]) / 2
    return {
        "top_share": max(shares),
        "mean_share": float(np.mean(shares)),
        "norm_spread": float(np.std(norms)),
        "kurtosis": float(np.mean([_kurtosis(factor) for pair in parts for factor in pair])),
    }


def strangeness(features: Features, history: Sequence[Features]) -> float:
    """Return the largest distance of a feature from its median in `history`, in robust standard deviations.

    The deviation is 1.4826 times the median absolute deviation (normal consistency), and at least a tenth of the
    median. 0 where there is nothing to compare.
    """
    found = [0.0]
    for name, value in features.items():
        known = np.array([one[name] for one in history if name in one])
        if len(known):
            middle = float(np.median(known))
            deviation = 1.4826 * float(np.median(np.abs(known - middle)))
            found.append(abs(value - middle) / max(deviation, _LEAST_SPREAD * abs(middle), 1e-9))
    return max(found)


def _factors(path: Path) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    entries = read_header(path)
    modules = sorted(name.removesuffix(_A) for name in entries if name.endswith(_A))
    return [
        (
            read_floats(path, entries[module + _A]).astype(np.float64),
            read_floats(path, entries[module + _B]).astype(np.float64),
        )
        for module in modules
        if module + _B in entries
    ]


def _singular_values(a_RI: NDArray[np.float64], b_OR: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the singular values of b a, from the triangles of both factors: dW itself is never made."""
    _, triangle_a = np.linalg.qr(a_RI.T)
    _, triangle_b = np.linalg.qr(b_OR)
    return np.asarray(np.linalg.svd(triangle_b @ triangle_a.T, compute_uv=False), dtype=np.float64)


def _kurtosis(factor: NDArray[np.float64]) -> float:
    """Return the fourth standardised moment; 3 for a normal distribution, and for a factor that is all alike."""
    centred = factor - factor.mean()
    variance = float((centred**2).mean())
    return float((centred**4).mean()) / variance**2 if variance > 0 else 3.0
