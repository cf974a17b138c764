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
        (Sampling(temperature=2.1), "temperature"),
        (Sampling(n=0), "n"),
        (Sampling(n=9, temperature=1.0), "n"),
        (Sampling(n=2), "n"),
        (Sampling(top_k=-1), "top_k"),
        (Sampling(top_k=2**40), "top_k"),
        (Sampling(min_p=1.5), "min_p"),
        (Sampling(min_p=math.nan), "min_p"),
        (Sampling(presence_penalty=-2.1), "presence_penalty"),
        (Sampling(frequency_penalty=math.inf), "frequency_penalty"),
        (Sampling(repetition_penalty=0.0), "repetition_penalty"),
        (Sampling(repetition_penalty=11.0), "repetition_penalty"),
        (Sampling(min_tokens=-1), "min_tokens"),
        (Sampling(min_tokens=5, max_tokens=4), "min_tokens"),
        (Sampling(stop_token_ids=(-1,)), "stop_token_ids"),
        (Sampling(stop_token_ids=(1,) * 65), "stop_token_ids"),
        (Sampling(logit_bias=((-1, 1.0),)), "logit_bias"),
        (Sampling(logit_bias=((1, 101.0),)), "logit_bias"),
        (Sampling(logit_bias=((1, math.nan),)), "logit_bias"),
        (Sampling(logit_bias=tuple((token, 1.0) for token in range(301))), "logit_bias"),
        (Sampling(logprobs=-1), "logprobs"),
        (Sampling(logprobs=21), "logprobs"),
        (Sampling(grammar="x" * 4001), "grammar"),
        (Sampling(grammar='start: "x"', regex="x"), "grammar"),
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
        Sampling(
            n=8,
            temperature=2.0,
            top_k=40,
            min_p=0.1,
            presence_penalty=-2.0,
            frequency_penalty=2.0,
            repetition_penalty=1.1,
            min_tokens=256,
            stop_token_ids=(0, 7),
            logit_bias=((5, -100.0),),
            logprobs=20,
        ),
        Sampling(json_schema='{"type": "object"}'),
        Sampling(grammar='start: "yes" | "no"'),
        Sampling(choice=("yes", "no")),
        Sampling(regex=r"(yes|no), [0-9]{1,3}"),
        Sampling(json_schema='{"type": "object", "properties": {"maxLength": {"type": "integer", "maxLength": 9}}}'),
    ],
)
def test_ordinary_values_pass(sampling: Sampling) -> None:
    before = sampling
    check_sampling(sampling)
    assert sampling == before
