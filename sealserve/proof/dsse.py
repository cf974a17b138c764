"""Signed envelopes: DSSE around in-toto statements. Pure: bytes and keys in, JSON out.

Dead Simple Signing Envelope v1 (https://github.com/secure-systems-lab/dsse) and in-toto Statement v1
(https://github.com/in-toto/attestation).
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sealserve.canonical import Json, canonical_json
from sealserve.errors import CorruptArtifact

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"


def key_id(key: Ed25519PublicKey) -> str:
    """Return how envelopes name `key`: the start of its digest."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def sign(statement: Json, key: Ed25519PrivateKey) -> Json:
    """Return `statement` in an envelope with one signature. Raises: ValueError (NaN or an infinity in it)."""
    payload = canonical_json(statement).encode()
    signature = key.sign(_encoded(PAYLOAD_TYPE, payload))
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}],
    }


def opened(envelope: Json, trusted: Sequence[Ed25519PublicKey]) -> tuple[Json, str]:
    """Return the statement and the id of the key that signed it.

    Raises: CorruptArtifact, when it is no envelope, or no trusted key has signed these very bytes.
    """
    try:
        payload = base64.b64decode(envelope["payload"], validate=True)
        given = [base64.b64decode(one["sig"], validate=True) for one in envelope["signatures"]]
        is_ours = envelope["payloadType"] == PAYLOAD_TYPE
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise CorruptArtifact("the manifest is not a signed envelope") from error
    signed = _encoded(PAYLOAD_TYPE, payload)
    signer = next((key for key in trusted for one in given if is_ours and _fits(key, one, signed)), None)
    if signer is None:
        raise CorruptArtifact("no trusted key has signed this manifest")
    statement: Json = json.loads(payload)
    if statement.get("_type") != STATEMENT_TYPE:
        raise CorruptArtifact("the manifest is not an in-toto statement")
    return statement, key_id(signer)


def _fits(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _encoded(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding (DSSE protocol, section "Signature definition")."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
