"""TLS with a certificate made here: who trusts it is served, who does not sends nothing."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from sealserve.client import AsyncClient, Client, Tls
from sealserve.daemon.healthcheck import is_serving
from sealserve.engine.remote import RemoteEngine
from sealserve.errors import BadConfig, Unavailable
from sealserve.records.inference import EngineState
from sealserve.rpc.server import RpcServer
from sealserve.telemetry.names import LogEvent
from tests.rpc.harness import ADMIN_SECRET, ENGINE_SECRET, Served, find_token, served, settings, until


def certificate(directory: Path, *, host: str = "127.0.0.1", days: float = 1) -> tuple[Path, Path]:
    """Make a key and a certificate signed by itself for `host`, valid for `days`; return (certificate, key)."""
    directory.mkdir(exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sealserve test")])
    is_address = host[0].isdigit()
    alternative = x509.IPAddress(ip_address(host)) if is_address else x509.DNSName(host)
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=90))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, private = directory / "certificate.pem", directory / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, private


async def shown(address: str) -> str:
    """Return the certificate that a new connection to `address` is shown, in PEM."""
    host, _, port = address.rpartition(":")
    return await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))


@pytest.fixture
def chain(tmp_path: Path) -> tuple[Path, Path]:
    return certificate(tmp_path / "tls")


async def test_who_trusts_the_certificate_is_served(tmp_path: Path, chain: tuple[Path, Path]) -> None:
    serve = settings(tls_certificate=chain[0], tls_key=chain[1])
    async with served(tmp_path, serve=serve) as here:
        async with AsyncClient(here.address, token=ADMIN_SECRET, tls=serve.tls(), timeout_seconds=20) as client:
            assert (await client.tenant("acme")).tenant == "acme"
            assert (await client.ask("acme", "Where?")).text
        remote = RemoteEngine(here.address, secret=ENGINE_SECRET, tls=serve.tls(), patience_seconds=0)
        assert (await remote.info()).state is EngineState.SERVING
        await remote.close()
        await until(lambda: _is_healthy(here, serve.tls()))


async def test_who_does_not_trust_it_or_speaks_plainly_is_not(tmp_path: Path, chain: tuple[Path, Path]) -> None:
    serve = settings(tls_certificate=chain[0], tls_key=chain[1])
    stranger = Tls(authority=certificate(tmp_path / "other")[0].read_bytes())
    async with served(tmp_path, serve=serve) as here:
        for tls in (stranger, None, Tls(authority=chain[0].read_bytes(), name="elsewhere.example")):
            async with AsyncClient(here.address, token=ADMIN_SECRET, tls=tls, timeout_seconds=5) as client:
                with pytest.raises(Unavailable):
                    await client.tenant("acme")


async def test_name_in_the_certificate_may_be_another_than_the_addresss(tmp_path: Path) -> None:
    own, key = certificate(tmp_path / "named", host="sealserve.example")
    serve = settings(tls_certificate=own, tls_key=key, tls_name="sealserve.example")
    async with served(tmp_path, serve=serve) as here:
        async with AsyncClient(here.address, token=ADMIN_SECRET, tls=serve.tls(), timeout_seconds=20) as client:
            assert (await client.tenant("acme")).tenant == "acme"


async def test_replaced_certificate_is_shown_to_the_next_connection(tmp_path: Path, chain: tuple[Path, Path]) -> None:
    serve = settings(tls_certificate=chain[0], tls_key=chain[1])
    with capture_logs() as logs:
        async with served(tmp_path, serve=serve) as here:
            old = await shown(here.address)
            certificate(tmp_path / "tls")
            assert old != await shown(here.address) == chain[0].read_text()
            assert await shown(here.address) == chain[0].read_text()
            async with AsyncClient(here.address, token=ADMIN_SECRET, tls=serve.tls(), timeout_seconds=20) as client:
                assert (await client.tenant("acme")).tenant == "acme"
    assert [log["event"] for log in logs if log["event"].startswith("certificate.")] == [LogEvent.CERTIFICATE_RENEWED]


async def test_broken_replacement_leaves_the_old_certificate_in_use(tmp_path: Path, chain: tuple[Path, Path]) -> None:
    """As in the moment between the two files, which then become a pair again."""
    other = certificate(tmp_path / "other")
    serve = settings(tls_certificate=chain[0], tls_key=chain[1])
    with capture_logs() as logs:
        async with served(tmp_path, serve=serve) as here:
            old = await shown(here.address)
            chain[0].write_bytes(other[0].read_bytes())
            assert [await shown(here.address) for _ in range(2)] == [old, old]
            chain[1].unlink()
            assert await shown(here.address) == old
            chain[1].write_bytes(other[1].read_bytes())
            assert await shown(here.address) == other[0].read_text()
    told = [log["event"] for log in logs if log["event"].startswith("certificate.")]
    assert told == [*[LogEvent.CERTIFICATE_NOT_RENEWED] * 2, LogEvent.CERTIFICATE_RENEWED]


async def test_learn_trusts_a_replaced_certificate(tmp_path: Path, chain: tuple[Path, Path]) -> None:
    """The server's own certificate is what `learn` trusts, unless serve.tls_authority says otherwise."""
    before = settings(tls_certificate=chain[0], tls_key=chain[1])
    options = {"secret": ENGINE_SECRET, "tls": before.tls(), "read_tls": before.tls, "patience_seconds": 20}
    certificate(tmp_path / "tls")
    async with served(tmp_path, serve=before) as here:
        remote = RemoteEngine(here.address, **options)  # type: ignore[arg-type]
        await remote.start()
        assert (await remote.info()).state is EngineState.SERVING
        await remote.close()


async def test_certificate_that_is_none_is_a_clear_error(tmp_path: Path, chain: tuple[Path, Path]) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    server = RpcServer(settings(tls_certificate=tmp_path / "bad.pem", tls_key=chain[1]), find_token=find_token)
    with pytest.raises(BadConfig, match="no pair in PEM"):
        await server.start()
    await server.stop()


async def test_server_does_not_listen_beyond_loopback_in_plain_text(chain: tuple[Path, Path]) -> None:
    server = RpcServer(settings(address="0.0.0.0:0", tls_authority=chain[0]), find_token=find_token)
    with pytest.raises(BadConfig, match="not loopback"):
        await server.start()
    await server.stop()


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_token_is_not_sent_in_plain_text_to_another_machine(kind: type[Client] | type[AsyncClient]) -> None:
    with pytest.raises(BadConfig, match="plain text"):
        kind("example.org:7431", token="sealserve_x")
    assert kind("example.org:7431", token="sealserve_x", insecure=True).address == "example.org:7431"
    assert kind("example.org:7431").address == "example.org:7431"


async def _is_healthy(here: Served, tls: Tls | None) -> bool:

    return await asyncio.to_thread(is_serving, here.address, tls=tls)
