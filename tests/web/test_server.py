"""`sealserve web` and its settings: where the page listens, over what, and what is said when it cannot."""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from sealserve.daemon import supervisor
from sealserve.daemon.local import free_address
from sealserve.errors import BadConfig
from sealserve.settings.certificates import CertificateWatch
from sealserve.settings.settings import Settings, load_settings
from sealserve.web import listener
from sealserve.web.server import serve_page
from tests.rpc.harness import ADMIN_SECRET, served, until
from tests.rpc.test_tls import certificate, shown


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"web.address": "0.0.0.0:7433"}, "web.tls_certificate"),
        ({"web.address": "7433"}, "web.address"),
        ({"web.address": "127.0.0.1:99999"}, "web.address"),
        ({"web.tls_key": "key.pem"}, "web.tls_certificate"),
        ({"web.colour": "red"}, "web.colour"),
        ({"web.address": "0.0.0.0:7433", "web.insecure": True, "serve.auth": "off"}, "serve.auth"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(given: dict[str, Any], named: str) -> None:
    with pytest.raises(BadConfig, match=named):
        load_settings(overrides=given)


@pytest.mark.parametrize("spelled", ["", "off"])
def test_page_that_is_off_stays_off_in_children(spelled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(overrides={"web.address": spelled})
    assert settings.web.is_off
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings().web.is_off
    with pytest.raises(BadConfig, match=r"web\.address is off"):
        settings.web.endpoint()


@pytest.mark.slow
def test_port_in_use_ends_the_command_with_two_and_names_the_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = tmp_path / "sealserve.toml"
        config.write_text(f'[web]\naddress = "{address}"\n')
        done = subprocess.run(
            [sys.executable, "-m", "sealserve", "web", "--config", str(config), "--json"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 2, done.stderr
    message = json.loads(done.stdout.splitlines()[-1])["error"]["message"]
    assert f"web.address {address}" in message
    assert "Traceback" not in done.stderr


def test_files_that_are_no_pair_are_named(tmp_path: Path) -> None:
    chain, _ = certificate(tmp_path / "one")
    _, key = certificate(tmp_path / "two")
    files = load_settings(overrides={"web.tls_certificate": chain, "web.tls_key": key}).web.certificate_files()
    assert files is not None
    with pytest.raises(BadConfig, match=r"web\.tls_certificate .* and web\.tls_key .* are no pair"):
        files.read()


async def test_page_over_tls_keeps_its_cookie_to_tls_and_ends_when_told(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path / "tls")
    address = free_address()
    async with served(tmp_path) as here:
        settings = Settings.model_validate(
            {
                "serve": {"address": here.address},
                "web": {"address": address, "tls_certificate": chain, "tls_key": key},
            }
        )
        task = asyncio.create_task(serve_page(settings))
        context = ssl.create_default_context(cafile=str(chain))
        async with httpx.AsyncClient(verify=context, base_url=f"https://{address}", trust_env=False) as http:
            form, own = {"token": ADMIN_SECRET}, {"sec-fetch-site": "same-origin"}
            await until(lambda: _listens(address))
            answer = await http.post("/login", data=form, headers=own)
            assert answer.status_code == 303
            assert "Secure" in answer.headers["set-cookie"].split("; ")
            assert "server" not in answer.headers
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not _listens(address)


async def test_page_shows_a_replaced_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "RENEW_SECONDS", 0.01)
    chain, key = certificate(tmp_path / "tls")
    address, said = free_address(), list[str]()
    settings = load_settings(
        overrides={
            "web.address": address,
            "web.tls_certificate": chain,
            "web.tls_key": key,
            "serve.address": "127.0.0.1:1",
        }
    )
    files = settings.web.certificate_files()
    assert files is not None
    watch = CertificateWatch(files, on_renewed=lambda: said.append("renewed"), on_broken=said.append)
    task = asyncio.create_task(serve_page(settings, watch=watch))
    await until(lambda: _listens(address))
    before = await shown(address)
    certificate(tmp_path / "tls")
    await until(lambda: _is_shown(address, chain))
    assert (said[-1], before != chain.read_text()) == ("renewed", True)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _is_shown(address: str, chain: Path) -> bool:
    return await shown(address) == chain.read_text()


async def test_up_starts_learn_and_the_page_unless_it_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    async def note(command: str, settings: Settings) -> None:
        started.append(command)

    async def serve(settings: Settings) -> None:
        started.append("serve")

    monkeypatch.setattr(supervisor, "_keep_running", note)
    monkeypatch.setattr(supervisor, "serve", serve)
    for address, expected in (("127.0.0.1:7433", ["learn", "serve", "web"]), ("off", ["learn", "serve"])):
        started.clear()
        settings = load_settings(overrides={"web.address": address})
        await asyncio.to_thread(_up_in_thread, settings, monkeypatch)
        assert sorted(started) == expected


def _up_in_thread(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(work: Any, parent: int | None) -> None:
        await work()

    monkeypatch.setattr(supervisor, "until_stopped", run)
    supervisor.run_up(settings)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
