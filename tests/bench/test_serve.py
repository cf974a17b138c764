"""The serve figure runs the same load on both sides; its value on a fake engine says nothing."""

from pathlib import Path

import pytest

from sealserve.bench.serving import serve
from tests.bench.test_swap import pretend


def test_both_sides_do_the_same_and_the_ratio_is_positive(monkeypatch: pytest.MonkeyPatch, tiny_base: Path) -> None:
    pretend(monkeypatch, tiny_base)
    figures = serve.run(requests=20, clients=4, say=lambda line: None)
    assert figures.ratio > 0
    assert figures.adapter_ratio > 0
    assert figures.requests == 20
    assert figures.grpc_tokens_per_second > 0
    assert figures.first_token_ms_grpc > 0
