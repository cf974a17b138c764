"""Signed envelopes: DSSE around in-toto statements. Pure: bytes and keys in, JSON out.

Dead Simple Signing Envelope v1 (https://github.com/secure-systems-lab/dsse) and in-toto Statement v1
(https://github.com/in-toto/attestation).
"""

import base64
import binascii
import json
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sealserve.canonical import Json, canonical_json
from sealserve.errors import CorruptArtifact, UnknownSigner
from sealserve.records.keys import key_name

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"


def key_id(key: Ed25519PublicKey) -> str:
    """Return how envelopes name `key`: the start of its fingerprint."""
    return key_name(key.public_bytes_raw())


def sign(statement: Json, key: Ed25519PrivateKey) -> Json:
    """Return `statement` in an envelope with one signature. Raises: ValueError (NaN or an infinity in it)."""
    payload = canonical_json(statement).encode()
    signature = key.sign(_encoded(PAYLOAD_TYPE, payload))
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}],
    }


def signers(envelope: Json) -> tuple[str, ...]:
    """Return the ids of the keys that `envelope` says have signed it. Raises: CorruptArtifact (no signed envelope)."""
    try:
        named = tuple(one["keyid"] for one in envelope["signatures"])
    except (KeyError, TypeError) as error:
        raise CorruptArtifact("the manifest is not a signed envelope") from error
    if not named or not all(isinstance(one, str) for one in named):
        raise CorruptArtifact("the manifest is not a signed envelope")
    return named


def opened(envelope: Json, trusted: Sequence[Ed25519PublicKey]) -> tuple[Json, str]:
    """Return the statement and the id of the key that signed it.

    Raises: CorruptArtifact, when it is no envelope, or the signature of a trusted key does not fit these very bytes.
    UnknownSigner, when none of the keys that it names is in `trusted`: whether the bytes are right is not known.
    """
    keys = {key_id(key): key for key in trusted}
    named = signers(envelope)
    try:
        payload = base64.b64decode(envelope["payload"], validate=True)
        given = [(one["keyid"], base64.b64decode(one["sig"], validate=True)) for one in envelope["signatures"]]
        is_ours = envelope["payloadType"] == PAYLOAD_TYPE
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise CorruptArtifact("the manifest is not a signed envelope") from error
    if not keys.keys() & set(named):
        raise UnknownSigner(
            f"it is signed by key {', '.join(sorted(set(named)))}, which is not trusted here: "
            "add the public key with sealserve key add"
        )
    signed = _encoded(PAYLOAD_TYPE, payload)
    signer = next((key for key, sig in given if is_ours and key in keys and _fits(keys[key], sig, signed)), None)
    if signer is None:
        raise CorruptArtifact("no trusted key has signed this manifest as it is now")
    statement: Json = json.loads(payload)
    if statement.get("_type") != STATEMENT_TYPE:
        raise CorruptArtifact("the manifest is not an in-toto statement")
    return statement, signer


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
