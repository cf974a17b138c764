"""Trusted public keys: adding, finding and removing them, each with its audit row.

A removed key stays known, so that a file which still holds it does not bring it back.
"""

import base64
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, select, update

from sealserve.errors import FailedPrecondition, InvalidArgument, NotFound
from sealserve.records.keys import TrustedKey, key_name
from sealserve.records.validation import require_line
from sealserve.registry import audit
from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.sql.installation_tables import trusted_keys

PUBLIC_KEY_BYTES = 32
MAX_NAME_LENGTH = 128


class TrustedKeys:
    """The public keys whose signatures count."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[TrustedKey, ...]:
        """Return every key, removed ones included, oldest first."""
        with self._database.read() as tx:
            query = select(trusted_keys).order_by(trusted_keys.c.added_at, trusted_keys.c.key)
            return tuple(map(_record, tx.rows(query)))

    def find(self, keys: Iterable[str]) -> dict[str, TrustedKey]:
        """Return the keys of these names that are trusted now, by name."""
        wanted = sorted(set(keys))
        if not wanted:
            return {}
        query = select(trusted_keys).where(trusted_keys.c.key.in_(wanted), trusted_keys.c.removed_at.is_(None))
        with self._database.read() as tx:
            return {row.key: _record(row) for row in tx.rows(query)}

    def get(self, key: str) -> TrustedKey:
        """Return the key, also if it was removed. Raises: NotFound."""
        with self._database.read() as tx:
            return _get(tx, key)

    def enrol(self, public_key: bytes, *, name: str, actor: str) -> TrustedKey:
        """Trust a key that was never seen here; one that is known, even removed, is left as it is.

        Raises: InvalidArgument.
        """
        with self._database.read() as tx:
            row = _row(tx, key_name(public_key))
        return _record(row) if row is not None else self._put(public_key, name=name, actor=actor, is_new_only=True)

    def add(self, public_key: bytes, *, name: str, actor: str) -> TrustedKey:
        """Trust the key from now on; no change if it is trusted already. Raises: InvalidArgument."""
        return self._put(public_key, name=name, actor=actor, is_new_only=False)

    def remove(self, key: str, *, actor: str) -> TrustedKey:
        """Let signatures of the key count no longer; what is loaded stays loaded.

        Raises: NotFound, FailedPrecondition (removed already).
        """
        with self._database.write() as tx:
            found = _get(tx, key)
            if found.removed_at is not None:
                raise FailedPrecondition(f"key {key} is not trusted any more", reason="KEY_REMOVED")
            tx.run(update(trusted_keys).where(trusted_keys.c.key == key).values(removed_at=tx.now))
            _tell(tx, "key.remove", found, actor=actor)
            return _get(tx, key)

    def _put(self, public_key: bytes, *, name: str, actor: str, is_new_only: bool) -> TrustedKey:
        if len(public_key) != PUBLIC_KEY_BYTES:
            raise InvalidArgument("an Ed25519 public key has 32 bytes", field="public_key")
        require_line(name, field="name", max_length=MAX_NAME_LENGTH)
        key = key_name(public_key)
        with self._database.write() as tx:
            known = _row(tx, key)
            if known is not None and (is_new_only or known.removed_at is None):
                return _record(known)
            values = {"public_key": base64.b64encode(public_key).decode(), "name": name, "added_by": actor}
            row = {"key": key, **values, "added_at": tx.now, "removed_at": None}
            tx.upsert(trusted_keys, [row], key=("key",))
            added = _get(tx, key)
            _tell(tx, "key.add", added, actor=actor)
            return added


def _row(tx: Transaction, key: str) -> Row[Any] | None:
    return tx.row(select(trusted_keys).where(trusted_keys.c.key == key))


def _get(tx: Transaction, key: str) -> TrustedKey:
    row = _row(tx, key)
    if row is None:
        raise NotFound(key, kind="key")
    return _record(row)


def _tell(tx: Transaction, action: str, key: TrustedKey, *, actor: str) -> None:
    details = {"fingerprint": key.fingerprint, "name": key.name}
    audit.append(tx, action, actor=actor, tenant="", subject=f"keys/{key.key}", details=details)


def _record(row: Row[Any]) -> TrustedKey:
    return TrustedKey(**{**row._mapping, "public_key": base64.b64decode(row.public_key)})
