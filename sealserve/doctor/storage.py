"""What is kept: the data directory, the registry, keys, the versions that answer, and the policy."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sealserve.doctor.finding import Finding, State, few
from sealserve.errors import SealserveError
from sealserve.settings.settings import Settings

if TYPE_CHECKING:
    from sealserve.registry.registry import Registry

MIN_FREE_GIB = 2.0
"""Room for the database, a few hundred adapters of a small model, and a training attempt's scratch files."""

_GIB = 2**30
_MAX_SKEW_SECONDS = 1.0
_NO_REGISTRY = "not known before there is a registry"
_MAX_TENANTS = 1000  # whose versions are looked at


def check_data_directory(settings: Settings) -> Finding:
    """Check that the data directory can be written."""
    place = _nearest(settings.data_directory)
    advice = f"make {settings.data_directory} writable, or set data_directory"
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".sealserve-"):
            return Finding.of("data directory", True, str(settings.data_directory.absolute()))
    except OSError as error:
        return Finding.of("data directory", False, f"{place}: {error.strerror}", advice=advice)


def check_free_disk(settings: Settings) -> Finding:
    """Check that there is room in the data directory."""
    free_gib = shutil.disk_usage(_nearest(settings.data_directory)).free / _GIB
    advice = f"free some space: below {MIN_FREE_GIB:g} GiB cycles may fail"
    return Finding.of("free disk", free_gib >= MIN_FREE_GIB, f"{free_gib:.1f} GiB", advice=advice, bad=State.WARNS)


def check_file_modes(settings: Settings) -> Finding:
    """Check that nobody else can read the data directory's own files. A start takes access away where it may."""
    from sealserve.private_files import exposed_in

    found = list(exposed_in(settings.data_directory))
    if not found:
        return Finding.of("file modes", True, "only their owner may read them")
    advice = "the next start repairs it"
    if others := [one for one in found if not one.is_own]:
        advice = f"chmod go-rwx, as their owner: {', '.join(one.shown for one in others)}"
    return Finding.of("file modes", False, ", ".join(one.shown for one in found), advice=advice, bad=State.WARNS)


def check_registry(settings: Settings) -> Finding:
    """Check that the registry opens, that its audit chain is intact, and its clock."""
    from sealserve.registry.registry import Registry

    if not settings.registry.url and not (settings.data_directory / "registry.db").exists():
        return Finding.of("registry", True, "does not exist yet; the first start creates it")
    try:
        registry = Registry.of(settings)
    except SealserveError as error:
        return Finding.of("registry", False, error.message, advice="check registry.url and the database server")
    try:
        rows, ahead = registry.audit.verify(), registry.seconds_ahead()
    except SealserveError as error:
        return Finding.of("registry", False, error.message, advice="restore a backup; keep the damaged registry")
    finally:
        registry.close()
    found = f"at the newest schema; {rows} audit rows, chain intact"
    if abs(ahead) <= _MAX_SKEW_SECONDS:
        return Finding.of("registry", True, found)
    found += f"; its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    advice = "synchronise both clocks (NTP); leases go by the database's, logs and rollouts by this machine's"
    return Finding.of("registry", False, found, advice=advice, bad=State.WARNS)


def check_keys(settings: Settings) -> Finding:
    """Check that this machine can sign, and that its signatures count."""
    from sealserve.proof.keys import find_own_key

    name = "keys"
    with _opened(settings) as registry:
        if registry is None:
            return Finding.of(name, True, _NO_REGISTRY)
        try:
            own = find_own_key(settings.data_directory)
        except SealserveError as error:
            return Finding.of(name, False, error.message, advice="restore keys/signing.pem from a backup")
        known = registry.trusted_keys.all()
    trusted = {one.key for one in known if one.removed_at is None}
    found = f"{len(trusted)} trusted"
    if own is None:
        advice = "the next start makes one; old versions verify as before. Or restore keys/signing.pem from a backup"
        return Finding.of(name, False, f"no signing key; {found}", advice=advice, bad=State.WARNS)
    if known and own not in trusted:
        advice = "make another: sealserve audit rotate-key; or trust it again: sealserve key add"
        return Finding.of(name, False, f"the signing key {own} is not trusted; {found}", advice=advice)
    return Finding.of(name, True, f"{own} signs; {found}")


def check_active_versions(settings: Settings) -> Finding:
    """Check signer and artifact of the active versions; their files are not hashed, which loading does."""
    from sealserve.proof.manifest import find_unknown_signers

    name = "active versions"
    with _opened(settings) as registry:
        if registry is None:
            return Finding.of(name, True, _NO_REGISTRY)
        active = [one for one in registry.tenants.activated() if one.desired_version]
        versions = [registry.versions.get(one.tenant, one.desired_version) for one in active[:_MAX_TENANTS]]
        unknown = find_unknown_signers(registry, versions)
        gone = [one for one in versions if not registry.artifacts.has(one.artifact)]
    if unknown:
        listed = few(f"{tenant}/v{version} by {key}" for (tenant, version), key in unknown.items())
        advice = "get the public key (sealserve key show, where it signs), then: sealserve key add FILE"
        return Finding.of(name, False, f"signed by keys that are not trusted: {listed}", advice=advice)
    if gone:
        listed = few(f"{one.tenant}/v{one.version}" for one in gone)
        return Finding.of(name, False, f"artifacts are missing: {listed}", advice="restore them from a backup")
    return Finding.of(name, True, f"{len(versions)} with a trusted signer and an artifact")


def check_policy(settings: Settings) -> Finding:
    """Check that the gate's thresholds can be read."""
    from sealserve.gate.thresholds import load_policy

    try:
        policy = load_policy(settings.policy.thresholds)
    except SealserveError as error:
        return Finding.of("policy", False, error.message, advice="fix the file, or unset policy.thresholds")
    return Finding.of("policy", True, policy.name)


def _nearest(path: Path) -> Path:
    """Return `path`, or the nearest directory above it that exists."""
    absolute = path.absolute()
    return next(place for place in (absolute, *absolute.parents) if place.is_dir())


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
