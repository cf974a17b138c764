"""Webhooks of sources are taken in where OpenAI's API is, by their signature alone."""

import hashlib
import hmac
import json
import time

import pytest

from sealserve.records.sources import NewSource, SourceKind
from tests.gateway.harness import Gateway

KEY = "a key of the sender"


async def test_signed_item_is_taken_in_and_an_unsigned_one_is_not(
    here: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_ACME__CMS", KEY)
    here.parts.registry.sources.create(
        "acme",
        NewSource(name="cms", kind=SourceKind.WEBHOOK, secret_variable="SOURCE_ACME__CMS"),
        actor="test",
        max_sources=4,
    )
    body = json.dumps({"key": "returns", "title": "Returns", "text": "Returns take nine days."}).encode()
    at = str(int(time.time()))
    digest = hmac.new(KEY.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    async with here.http() as client:
        headers = {"X-Timestamp": at, "X-Signature": f"sha256={'0' * 64}"}
        refused = await client.post("/sources/acme/cms", content=body, headers=headers)
        assert refused.status_code in (401, 403, 404)
        taken = await client.post(
            "/sources/acme/cms", content=body, headers={**headers, "X-Signature": f"sha256={digest}"}
        )
    assert taken.status_code == 200
    document = here.parts.registry.documents.get("acme", taken.json()["document"])
    assert document.title == "Returns"
