"""A listener's certificate: two files that must go together, and that may be replaced while it listens."""

import os
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sealserve.errors import BadConfig

Stamp = tuple[int, ...]
"""What tells a file from the one that replaced it: device, inode, size and time of its last change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """`certificate` holds the chain and `key` the private key, both in PEM; `section` names the settings."""

    section: str
    certificate: Path
    key: Path

    def read(self) -> tuple[bytes, bytes]:
        """Return (key, chain). Raises: BadConfig (a file cannot be read, or they are no pair)."""
        private = read_file(self.key, f"{self.section}.tls_key")
        chain = read_file(self.certificate, f"{self.section}.tls_certificate")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ssl.SSLError) as error:
            names = f"{self.section}.tls_certificate {self.certificate} and {self.section}.tls_key {self.key}"
            raise BadConfig(f"{names} are no pair in PEM") from error
        return private, chain

    def stamp(self) -> Stamp:
        """Return a value that changes when one of the files is replaced; () while one is not there."""
        try:
            found = [os.stat(path) for path in (self.certificate, self.key)]
        except OSError:
            return ()
        return tuple(part for one in found for part in (one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns))


def read_file(path: Path, key: str) -> bytes:
    """Return the bytes of the file that the setting `key` names. Raises: BadConfig."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadConfig(f"{key}: {path} cannot be read: {error.strerror}") from error


class CertificateWatch:
    """Notices that the files were replaced since it was made. Safe to use from several threads."""

    def __init__(
        self, files: CertificateFiles, *, on_renewed: Callable[[], None], on_broken: Callable[[str], None]
    ) -> None:
        """`on_renewed` is called for each new pair, `on_broken` once for files that are none, with the reason."""
        self.files = files
        self._on_renewed = on_renewed
        self._on_broken = on_broken
        self._seen = files.stamp()
        self._lock = threading.Lock()

    def renewed(self) -> tuple[bytes, bytes] | None:
        """Return the new (key, chain), once; None if nothing has changed, or for the worse: the old pair stays."""
        with self._lock:
            stamp = self.files.stamp()
            if stamp == self._seen:
                return None
            try:
                pair = self.files.read()
            except BadConfig as error:
                self._seen = stamp
                self._on_broken(error.message)
                return None
            if self.files.stamp() != stamp:  # replaced in this moment: at the next look
                return None
            self._seen = stamp
            self._on_renewed()
            return pair
