"""The installation's keys: a private key in each data directory that signs, and the public keys of the registry.

`keys/signing.pem` signs, and is readable by its owner alone. Which public keys are trusted is recorded in the registry,
this one's among them: another machine, or a restored registry, can verify what this one has signed.
"""

import socket
from collections.abc import Iterable
from pathlib import Path

import structlog
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sealserve.atomic_files import create_file, replace_file
from sealserve.errors import BadConfig, InvalidArgument
from sealserve.private_files import DIRECTORY_MODE, FILE_MODE, require_private
from sealserve.proof.dsse import key_id
from sealserve.records.keys import TrustedKey
from sealserve.registry.registry import Registry
from sealserve.telemetry.names import LogEvent

SIGNING_FILE = "signing.pem"
TRUSTED_DIRECTORY = "trusted"
ACTOR = "sealserve"
"""Who the audit log names for keys that a process has found or made."""

_LOG = structlog.get_logger(__name__)


class KeyRing:
    """The signing key of one data directory, and the public keys that its registry trusts."""

    def __init__(self, directory: Path, registry: Registry) -> None:
        """Make the signing key on the first call; two processes that start together get the same one.

        Its public key is recorded as trusted, unless it is known already; so are the keys in `trusted/`, where earlier
        releases kept them. Raises: BadConfig (unreadable, not Ed25519, or open to everybody), StorageFailed.
        """
        self._file = directory / SIGNING_FILE
        self._registry = registry
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
            create_file(self._file, _pem(Ed25519PrivateKey.generate()), mode=FILE_MODE)
        except OSError as error:
            raise BadConfig(f"{directory} cannot be created: check the owner of the data directory") from error
        own = self._read().public_key()
        registry.trusted_keys.enrol(own.public_bytes_raw(), name=socket.gethostname(), actor=ACTOR)
        _take_in_files(registry, directory / TRUSTED_DIRECTORY)

    def signing_key(self) -> Ed25519PrivateKey:
        """Return the key that signs now. Raises: BadConfig (also if it is not trusted any more), StorageFailed."""
        key = self._read()
        if not self._registry.trusted_keys.find([key_id(key.public_key())]):
            raise BadConfig(
                f"the signing key in {self._file} is not trusted any more: make another with sealserve audit rotate-key"
            )
        return key

    def own_key(self) -> str:
        """Return the id of the signing key, trusted or not. Raises: BadConfig."""
        return key_id(self._read().public_key())

    def trusted_keys(self, names: Iterable[str] | None = None) -> tuple[Ed25519PublicKey, ...]:
        """Return the keys whose signatures count; with `names`, only those of these. Raises: StorageFailed."""
        known = self._registry.trusted_keys
        found = (
            known.find(names).values() if names is not None else (key for key in known.all() if key.removed_at is None)
        )
        return tuple(Ed25519PublicKey.from_public_bytes(key.public_key) for key in found)

    def rotate(self, *, actor: str = ACTOR) -> str:
        """Sign with a new key from now on; signatures of the old key stay trusted. Return the new key's id.

        Running processes follow at their next signature. Raises: BadConfig, StorageFailed.
        """
        key = Ed25519PrivateKey.generate()
        self.trust(key.public_key(), name=socket.gethostname(), actor=actor)
        replace_file(self._file, _pem(key), mode=FILE_MODE)
        return key_id(key.public_key())

    def trust(self, key: Ed25519PublicKey, *, name: str = "", actor: str = ACTOR) -> TrustedKey:
        """Let signatures of `key` count from now on. Raises: InvalidArgument (name), StorageFailed."""
        return self._registry.trusted_keys.add(key.public_bytes_raw(), name=name or key_id(key), actor=actor)

    def _read(self) -> Ed25519PrivateKey:
        try:
            require_private(self._file)
        except OSError as error:
            raise BadConfig(f"{self._file} cannot be read: check the owner of the data directory") from error
        return _read_private_key(self._file)


def find_own_key(data_directory: Path) -> str | None:
    """Return the id of the key that signs for this data directory, None if it has none. Raises: BadConfig."""
    file = data_directory / "keys" / SIGNING_FILE
    return key_id(_read_private_key(file).public_key()) if file.exists() else None


def read_public_key(text: bytes) -> Ed25519PublicKey:
    """Return the key in PEM form. Raises: InvalidArgument."""
    try:
        key = form.load_pem_public_key(text)
    except ValueError as error:
        raise InvalidArgument("not a public key in PEM form", field="file") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidArgument("not an Ed25519 public key", field="file")
    return key


def pem_of(public_key: bytes) -> str:
    """Return the PEM form of a public key of 32 bytes."""
    key = Ed25519PublicKey.from_public_bytes(public_key)
    return key.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo).decode()


def _read_private_key(file: Path) -> Ed25519PrivateKey:
    try:
        key = form.load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise BadConfig(f"{file} cannot be read as a key: restore it, or remove it to get a new one") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadConfig(f"{file} is not an Ed25519 key")
    return key


def _take_in_files(registry: Registry, directory: Path) -> None:
    """Record the keys in `directory` that were never known; one that cannot be read stops none of the others."""
    for file in sorted(directory.glob("*.pem")):
        try:
            key = read_public_key(file.read_bytes())
        except (OSError, InvalidArgument) as error:
            _LOG.warning(LogEvent.KEY_FILE_REFUSED, path=str(file), error_type=type(error).__name__)
            continue
        registry.trusted_keys.enrol(key.public_bytes_raw(), name=f"from {file.name}"[:128], actor=ACTOR)


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
