"""The serve figure runs the same load on all sides; its value on a fake engine says nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sealserve.bench.harness.serving_site import Site
from sealserve.bench.serving import serve
from tests.bench.test_swap import pretend


@asynccontextmanager
async def ours_again(site: Site) -> AsyncIterator[str]:
    """Stands for vLLM's own server, which a fake engine cannot have."""
    yield site.url


def test_both_sides_do_the_same_and_the_ratio_is_positive(monkeypatch: pytest.MonkeyPatch, tiny_base: Path) -> None:
    pretend(monkeypatch, tiny_base)
    monkeypatch.setattr(serve, "vllm_server", ours_again)
    monkeypatch.setattr(serve, "MODEL", f"{serve.TENANT}@base")
    figures = serve.run(requests=20, clients=4, say=lambda line: None)
    assert figures.ratio > 0
    assert figures.adapter_ratio > 0
    assert figures.requests == 20
    assert figures.grpc_tokens_per_second > 0
    assert figures.first_token_ms_grpc > 0
    assert figures.http_ratio > 0
    assert figures.http_over_vllm > 0
    assert figures.first_token_ms_http > 0
