"""The audit trail as a file that can be verified alone: every row, and a signed head.

One JSON object a line: rows in order, then {"head": envelope}. Whoever has the file and a public key can check that no
row was edited, removed, added or moved.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TextIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sealserve.canonical import Json
from sealserve.errors import CorruptArtifact
from sealserve.proof.dsse import STATEMENT_TYPE, opened, sign
from sealserve.records.audit import AuditRow
from sealserve.registry import audit

PREDICATE_TYPE = "urn:sealserve:audit-head:v1"
_HASHES = ("previous_hash", "hash")


def write(rows: Iterable[AuditRow], file: TextIO, *, key: Ed25519PrivateKey, now: datetime) -> int:
    """Write every row and the signed head; return how many rows. Raises: OSError."""
    count, last = 0, audit.NO_HASH
    for row in rows:
        file.write(json.dumps({**asdict(row), "at": row.at.isoformat(timespec="microseconds")}) + "\n")
        count, last = row.sequence, row.hash
    file.write(json.dumps({"head": sign(head_statement(count, last, now=now), key)}) + "\n")
    return count


def head_statement(rows: int, last: str, *, now: datetime) -> Json:
    """Return the statement that a chain has so many rows, the last with the hash `last`."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": "audit", "digest": {"sha256": last}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"rows": rows, "exported_at": now.isoformat()},
    }


def signed_head(statement: Json) -> tuple[int, str]:
    """Return the number of rows and the last hash of a `head_statement`. Raises: CorruptArtifact (it is another)."""
    try:
        kind, rows = statement["predicateType"], statement["predicate"]["rows"]
        last = statement["subject"][0]["digest"]["sha256"]
    except (KeyError, IndexError, TypeError) as error:
        raise CorruptArtifact("the signed head is not that of an audit trail") from error
    if kind != PREDICATE_TYPE or not isinstance(rows, int):
        raise CorruptArtifact("the signed head is not that of an audit trail")
    return rows, last


def check(path: Path, *, trusted: Sequence[Ed25519PublicKey]) -> int:
    """Return how many rows the file has. Raises: CorruptArtifact, naming the first line that does not fit."""
    count, previous, is_ended = 0, audit.NO_HASH, False
    for number, tree in _lines(path):
        if is_ended:
            raise CorruptArtifact(f"{path.name}: line {number} comes after the signed head, which does not cover it")
        if "head" in tree:
            _check_head(tree["head"], trusted, rows=count, last=previous)
            is_ended = True
        elif _is_next(tree, count + 1, previous):
            count, previous = count + 1, tree["hash"]
        else:
            raise CorruptArtifact(f"{path.name}: the chain is broken at line {number}")
    if not is_ended:
        raise CorruptArtifact(f"{path.name}: it ends without its signed head")
    return count


def every_row(rows: Callable[..., Sequence[AuditRow]]) -> Iterator[AuditRow]:
    """Yield all rows, oldest first; `rows` is `AuditTrail.rows`."""
    after = 0
    while batch := rows(after=after):
        yield from batch
        after = batch[-1].sequence


def _lines(path: Path) -> Iterator[tuple[int, Json]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                tree = json.loads(line)
            except ValueError as error:
                raise CorruptArtifact(f"{path.name}: line {number} is not JSON") from error
            if not isinstance(tree, dict):
                raise CorruptArtifact(f"{path.name}: line {number} is not an audit row")
            yield number, tree


def _is_next(tree: Json, sequence: int, previous: str) -> bool:
    try:
        row = {name: value for name, value in tree.items() if name not in _HASHES}
        row["at"] = datetime.fromisoformat(row["at"])
        sealed = audit.seal(previous, row)
        return bool(tree["sequence"] == sequence and tree["previous_hash"] == previous and tree["hash"] == sealed)
    except (KeyError, TypeError, ValueError):
        return False


def _check_head(envelope: Json, trusted: Sequence[Ed25519PublicKey], *, rows: int, last: str) -> None:
    signed = signed_head(opened(envelope, trusted)[0])
    if signed != (rows, last):
        raise CorruptArtifact(f"the signed head covers {signed[0]} rows; the file has {rows}, or its last row differs")
