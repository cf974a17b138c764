"""The installation's signing key, and the keys it trusts. One private key, readable by its owner alone.

`keys/signing.pem` signs; `keys/trusted/*.pem` are public keys that verify only: of other installations, and this
one's own from before a rotation.
"""

from pathlib import Path

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sealserve.atomic_files import create_file, replace_file
from sealserve.errors import BadConfig
from sealserve.proof.dsse import key_id

SIGNING_FILE = "signing.pem"
TRUSTED_DIRECTORY = "trusted"


class KeyRing:
    """The keys in one directory; trusted keys are read at every use, and adding one needs no restart."""

    def __init__(self, directory: Path) -> None:
        """Make the signing key on the first call; two processes that start together get the same one.

        Raises: BadConfig (unreadable, not Ed25519, or open to others).
        """
        self._directory = directory
        try:
            (directory / TRUSTED_DIRECTORY).mkdir(parents=True, exist_ok=True)
            create_file(self._file, _pem(Ed25519PrivateKey.generate()), mode=0o600)
        except OSError as error:
            raise BadConfig(f"{directory} cannot be created: check the owner of the data directory") from error
        self.signing_key()

    def signing_key(self) -> Ed25519PrivateKey:
        """Return the key that signs now. Raises: BadConfig."""
        try:
            mode, text = self._file.stat().st_mode, self._file.read_bytes()
            key = form.load_pem_private_key(text, password=None)
        except (OSError, ValueError) as error:
            raise BadConfig(f"{self._file} cannot be read as a key: restore it, or rotate the key") from error
        if mode & 0o077:
            raise BadConfig(f"{self._file} can be read by others: chmod 600 it")
        if not isinstance(key, Ed25519PrivateKey):
            raise BadConfig(f"{self._file} is not an Ed25519 key")
        return key

    def trusted_keys(self) -> tuple[Ed25519PublicKey, ...]:
        """Return every key whose signatures count, the signing key's first. Raises: BadConfig."""
        found = [self.signing_key().public_key()]
        for file in sorted((self._directory / TRUSTED_DIRECTORY).glob("*.pem")):
            try:
                key = form.load_pem_public_key(file.read_bytes())
            except (OSError, ValueError) as error:
                raise BadConfig(f"{file} cannot be read as a public key: replace or remove it") from error
            if not isinstance(key, Ed25519PublicKey):
                raise BadConfig(f"{file} is not an Ed25519 public key")
            found.append(key)
        return tuple(found)

    def rotate(self) -> str:
        """Sign with a new key from now on; signatures of the old key stay trusted. Return the new key's id.

        Running processes follow at their next signature. Raises: BadConfig.
        """
        self.trust(self.signing_key().public_key())
        key = Ed25519PrivateKey.generate()
        replace_file(self._file, _pem(key), mode=0o600)
        return key_id(key.public_key())

    def trust(self, key: Ed25519PublicKey) -> None:
        """Let signatures of `key` count from now on."""
        text = key.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
        replace_file(self._directory / TRUSTED_DIRECTORY / f"{key_id(key)}.pem", text)

    @property
    def _file(self) -> Path:
        return self._directory / SIGNING_FILE


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
