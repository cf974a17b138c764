"""Canonical JSON: the one byte form of a tree that digests and signatures are taken of."""

import json
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


def canonical_json(value: Any) -> str:
    """Return `value` as JSON with sorted keys and no spaces. Raises: ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
