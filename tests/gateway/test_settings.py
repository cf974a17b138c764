"""Where HTTP may be spoken: settings that cannot work are refused by name."""

import socket
from pathlib import Path
from typing import Any

import pytest

from sealserve.errors import BadConfig
from sealserve.settings.settings import load_settings
from tests.gateway.harness import gateway


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"http.address": "0.0.0.0:7432"}, "http.tls_certificate"),
        ({"http.address": "7432"}, "http.address"),
        ({"http.tls_key": "key.pem"}, "http.tls_certificate"),
        ({"http.deadline_seconds": 0}, "http.deadline_seconds"),
        ({"http.address": "0.0.0.0:7432", "http.insecure": True, "serve.auth": "off"}, "serve.auth"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(given: dict[str, Any], named: str) -> None:
    with pytest.raises(BadConfig, match=named):
        load_settings(overrides=given)


async def test_port_in_use_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BadConfig, match=r"http\.address"):
            async with gateway(tmp_path, monkeypatch, http__address=address):
                pass


async def test_with_open_doors_no_page_in_a_browser_comes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(tmp_path, monkeypatch, serve__auth="off") as here, here.http() as http:
        open_ = await http.get("/v1/models")
        foreign = await http.get("/v1/models", headers={"origin": "http://elsewhere"})
    assert [open_.status_code, foreign.status_code] == [200, 403]
