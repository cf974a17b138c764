"""Which secrets may be tokens, told from memory: made-up ones are refused without asking the database."""

from sqlalchemy import select

from sealserve.registry.sql.database import Database
from sealserve.registry.sql.tables import tokens

_POSITION_BYTES = 3
_POSITIONS = 4
_BATCH = 10_000


class IssuedTokens:
    """A Bloom filter of the digests of all tokens that were not revoked when they were read.

    Takes 2 MiB however many tokens there are. Of a digest that is no token's it says so, except in one of a thousand
    million cases with 25,000 tokens, and in one of 500 with a million
    (https://en.wikipedia.org/wiki/Bloom_filter#Probability_of_false_positives). One thread at a time may call
    `refresh`, any thread `has`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bits = bytearray(2 ** (8 * _POSITION_BYTES - 3))
        self._last = 0

    def has(self, digest: str) -> bool:
        """Return False if this is the digest of no token that was there at the last `refresh`."""
        return all(self._bits[at >> 3] & 1 << (at & 7) for at in _positions(digest))

    def refresh(self) -> None:
        """Read the tokens that were made since the last time. Blocks. Raises: StorageFailed."""
        while self._read_some() == _BATCH:
            pass

    def _read_some(self) -> int:
        """Numbers are given under the registry's one writer lock: whoever sees one sees all smaller ones."""
        columns = tokens.c.sequence, tokens.c.digest
        is_new = tokens.c.sequence > self._last, tokens.c.revoked_at.is_(None)
        with self._database.read() as tx:
            rows = tx.rows(select(*columns).where(*is_new).order_by(tokens.c.sequence).limit(_BATCH))
        for row in rows:
            for at in _positions(row.digest):
                self._bits[at >> 3] |= 1 << (at & 7)
            self._last = row.sequence
        return len(rows)


def _positions(digest: str) -> list[int]:
    """Return which bits stand for the SHA-256 `digest`, in hex: parts of it are as good as hashes of their own."""
    raw = bytes.fromhex(digest[: 2 * _POSITION_BYTES * _POSITIONS])
    return [int.from_bytes(raw[at : at + _POSITION_BYTES]) for at in range(0, len(raw), _POSITION_BYTES)]
