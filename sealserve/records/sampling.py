"""The bounds of a request's sampling values, in one pure function.

Every engine calls it before anything else sees the values. Checks that depend on the context length are made where
the prompt is tokenised.
"""

import math

from sealserve.errors import InvalidArgument
from sealserve.records.inference import Sampling

MAX_TEMPERATURE = 10.0
MAX_STOPS = 16
MAX_STOP_CHARACTERS = 256
MAX_SEED = 2**63 - 1
"""torch.Generator.manual_seed takes a signed 64-bit integer."""


def check_sampling(sampling: Sampling) -> None:
    """Return if every value can be sampled with.

    Raises: InvalidArgument, naming the field.
    """
    if sampling.max_tokens < 1:
        raise InvalidArgument(f"max_tokens is {sampling.max_tokens}; give at least 1", field="max_tokens")
    _check_range("temperature", sampling.temperature, low=0.0, high=MAX_TEMPERATURE)
    _check_range("top_p", sampling.top_p, low=0.0, high=1.0)
    if sampling.top_p == 0:
        raise InvalidArgument("top_p is 0; give a value above 0, or temperature 0 for greedy", field="top_p")
    if sampling.seed is not None and not 0 <= sampling.seed <= MAX_SEED:
        raise InvalidArgument(f"seed is {sampling.seed}; give 0 to {MAX_SEED}", field="seed")
    if len(sampling.stop) > MAX_STOPS:
        raise InvalidArgument(f"{len(sampling.stop)} stop strings; at most {MAX_STOPS} are taken", field="stop")
    if any(not 1 <= len(stop) <= MAX_STOP_CHARACTERS for stop in sampling.stop):
        raise InvalidArgument(f"a stop string needs 1 to {MAX_STOP_CHARACTERS} characters", field="stop")


def _check_range(field: str, value: float, *, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidArgument(f"{field} is {value}; give {low:g} to {high:g}", field=field)
