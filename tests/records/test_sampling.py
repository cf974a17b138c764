"""Absurd sampling values are refused by name before any engine sees them."""

import math

import pytest

from sealserve.errors import InvalidArgument
from sealserve.records.inference import Sampling
from sealserve.records.sampling import check_sampling


@pytest.mark.parametrize(
    ("sampling", "field"),
    [
        (Sampling(temperature=-0.1), "temperature"),
        (Sampling(temperature=math.nan), "temperature"),
        (Sampling(temperature=math.inf), "temperature"),
        (Sampling(temperature=1e9), "temperature"),
        (Sampling(top_p=0.0), "top_p"),
        (Sampling(top_p=1.01), "top_p"),
        (Sampling(top_p=math.nan), "top_p"),
        (Sampling(max_tokens=0), "max_tokens"),
        (Sampling(max_tokens=-5), "max_tokens"),
        (Sampling(seed=-1), "seed"),
        (Sampling(seed=2**64), "seed"),
        (Sampling(stop=("",)), "stop"),
        (Sampling(stop=("x" * 1000,)), "stop"),
        (Sampling(stop=("x",) * 100), "stop"),
        (Sampling(choice=("",)), "choice"),
        (Sampling(choice=("yes\nno",)), "choice"),
        (Sampling(choice=("\ud800",)), "choice"),
        (Sampling(choice=("x" * 257,)), "choice"),
        (Sampling(choice=("x",) * 65), "choice"),
        (Sampling(choice=("x",), json_schema="{}"), "json_schema"),
        (Sampling(regex="("), "regex"),
        (Sampling(regex=r"\bword"), "regex"),
        (Sampling(regex=r"\Qa.b\E"), "regex"),
        (Sampling(regex="x" * 201), "regex"),
        (Sampling(json_schema="{"), "json_schema"),
        (Sampling(json_schema='"text"'), "json_schema"),
        (Sampling(json_schema='{"type": "thing"}'), "json_schema"),
        (Sampling(json_schema='{"$ref": "#"}'), "json_schema"),
        (Sampling(json_schema='{"type": "array", "items": {"type": "string", "maxLength": 1000000}}'), "json_schema"),
        (Sampling(json_schema=" " * 4001), "json_schema"),
    ],
)
def test_absurd_value_is_refused_by_name(sampling: Sampling, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_sampling(sampling)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=1.5, top_p=0.9, seed=0, stop=("\n",)),
        Sampling(choice=("yes", "no")),
        Sampling(regex=r"(yes|no), [0-9]{1,3}"),
        Sampling(json_schema='{"type": "object", "properties": {"maxLength": {"type": "integer", "maxLength": 9}}}'),
    ],
)
def test_ordinary_values_pass(sampling: Sampling) -> None:
    before = sampling
    check_sampling(sampling)
    assert sampling == before
