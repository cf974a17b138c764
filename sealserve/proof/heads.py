"""The signed head of the audit chain, in a file outside the database.

Whoever can write the database can write another chain that is whole in itself. The head that was signed before it
does not fit that chain.
"""

import json
from datetime import datetime
from pathlib import Path

from sealserve.atomic_files import replace_file
from sealserve.canonical import Json
from sealserve.errors import CorruptArtifact
from sealserve.private_files import FILE_MODE
from sealserve.proof.dsse import opened, sign, signers
from sealserve.proof.keys import KeyRing
from sealserve.proof.trail import head_statement, signed_head
from sealserve.registry import audit
from sealserve.registry.registry import Registry

HEAD_FILE = "audit-head.json"


def write_head(registry: Registry, keys: KeyRing, path: Path, *, now: datetime) -> int:
    """Sign the newest row of the chain into the file, in place of an earlier head; return how many rows it covers.

    Raises: as `check_head`, and the file stays as it is; BadConfig (keys), OSError.
    """
    check_head(registry, keys, path)
    rows, last = registry.audit.head()
    envelope = sign(head_statement(rows, last, now=now), keys.signing_key())
    replace_file(path, f"{json.dumps(envelope)}\n".encode(), mode=FILE_MODE)
    return rows


def check_head(registry: Registry, keys: KeyRing, path: Path) -> int | None:
    """Return how many rows the signed head in the file covers, None if there is no file.

    Raises: CorruptArtifact (the chain does not have these rows any more, or the file is damaged), UnknownSigner,
    StorageFailed.
    """
    if not path.exists():
        return None
    try:
        envelope: Json = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CorruptArtifact(f"{path} cannot be read as a signed head") from error
    rows, last = signed_head(opened(envelope, keys.trusted_keys(signers(envelope)))[0])
    found = registry.audit.rows(after=rows - 1, limit=1) if rows else ()
    if (found[0].hash if found else audit.NO_HASH) != last:
        raise CorruptArtifact(
            f"the audit chain was rewritten, or an older database was put back: row {rows} is not the one that was "
            f"signed in {path}; keep both, find out, then remove the file"
        )
    return rows
