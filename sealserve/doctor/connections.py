"""What speaks with this process: the server, certificates, proxies and the receiver of telemetry."""

import socket
from datetime import UTC, datetime
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from sealserve.doctor.finding import Finding, State
from sealserve.errors import SealserveError, Unauthenticated
from sealserve.settings.settings import Settings

_PROBE_SECONDS = 2.0
_MIN_CERTIFICATE_DAYS = 30.0


def check_certificates(settings: Settings) -> Finding:
    """Check that each listener's certificate and key go together, and how long the certificate is valid."""
    name, found, advice = "certificates", list[str](), ""
    for files in filter(None, (settings.serve.certificate_files(), settings.web.certificate_files())):
        try:
            _, chain = files.read()
        except SealserveError as error:
            return Finding.of(name, False, error.message, advice="write both files anew, from one issue")
        days = _days_left(chain)
        found.append(f"{files.section}: {days:.0f} days left" if days > 0 else f"{files.section}: expired")
        if days <= _MIN_CERTIFICATE_DAYS:
            advice = f"renew {files.certificate}; replaced files are used without a restart"
    return Finding.of(name, not advice, ", ".join(found) or "none: plain text", advice=advice, bad=State.WARNS)


def _days_left(chain: bytes) -> float:
    """Return the days until the first certificate of the chain is no longer valid; negative if it is not now."""
    from cryptography.x509 import load_pem_x509_certificates

    first = load_pem_x509_certificates(chain)[0]
    return (first.not_valid_after_utc - datetime.now(UTC)).total_seconds() / 86_400


def check_proxy(_: Settings) -> Finding:
    """Check that no proxy variable catches this machine's own addresses."""
    proxies = getproxies_environment()
    named = [f"{kind}_proxy" for kind in ("grpc", "https", "http", "all") if kind in proxies]
    is_exempt = proxy_bypass_environment("127.0.0.1", proxies) or "127.0.0.0/8" in proxies.get("no", "")
    if not named or is_exempt:
        return Finding.of("proxy", True, f"{', '.join(named)}, not for this machine" if named else "none")
    found = f"{', '.join(named)} also for 127.0.0.1"
    advice = (
        "sealserve passes it by for this machine's addresses, other programs (grpcurl, the engine's traces) do not: "
        "set no_proxy=127.0.0.1,localhost"
    )
    return Finding.of("proxy", False, found, advice=advice, bad=State.WARNS)


def check_telemetry(settings: Settings) -> Finding:
    """Check that something listens where traces and metrics go."""
    endpoint = settings.telemetry.otlp_endpoint
    if not endpoint:
        return Finding.of("telemetry", True, "not exported; set telemetry.otlp_endpoint")
    url = urlsplit(endpoint)
    if listens(url.hostname or "", url.port or 4317):
        return Finding.of("telemetry", True, endpoint)
    advice = "start the OTLP receiver (gRPC, mostly port 4317), or correct telemetry.otlp_endpoint"
    return Finding.of("telemetry", False, f"nothing listens at {endpoint}", advice=advice, bad=State.WARNS)


def check_server(settings: Settings) -> Finding:
    """Check that the server answers, or that its port is free."""
    from sealserve.client import Client
    from sealserve.local_tokens import ADMIN_FILE, found_secret
    from sealserve.network import reachable

    address = reachable(settings.serve.address)
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return Finding.of("server", False, address, advice="write serve.address as host:port")
    if not listens(host, int(port)):
        return Finding.of("server", True, f"not running; {address} is free for `sealserve up`")
    token = found_secret(settings.data_directory / ADMIN_FILE)
    tls, insecure = settings.serve.tls(), settings.serve.insecure
    try:
        with Client(address, token=token, tls=tls, insecure=insecure, timeout_seconds=_PROBE_SECONDS) as client:
            info = client.engine_info()
    except Unauthenticated:
        advice = "run doctor as the owner of the data directory to see the state of the engine"
        return Finding.of("server", False, f"{address}: running; a token is required", advice=advice, bad=State.WARNS)
    except SealserveError:
        advice = "stop the process that listens there, or set serve.address to another port"
        return Finding.of("server", False, f"{address} is used by another program", advice=advice)
    is_up = info.engine_state.value == "serving"
    found = f"{address}: {info.model}, engine {info.engine_state.value}, rebuilt {info.rebuilds} times"
    return Finding.of("server", is_up, found, advice="wait for the engine; see the server's log", bad=State.WARNS)


def listens(host: str, port: int) -> bool:
    """Return whether something accepts connections there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(_PROBE_SECONDS)
        reachable = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1"}.get(host, host.strip("[]"))
        try:
            return probe.connect_ex((reachable, port)) == 0
        except OSError:  # a name that nobody knows
            return False
