"""A benchmark task in lm-eval's format, and its score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sealserve.canonical import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkTask:
    """One task file: lm-eval's own settings, and the rows of each split."""

    name: str
    settings: Json
    splits: Mapping[str, Sequence[Json]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkScore:
    """One metric of one task; `error` is its standard error, None where lm-eval gives none."""

    task: str
    n: int
    metric: str
    value: float
    error: float | None
