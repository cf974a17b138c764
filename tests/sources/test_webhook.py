"""Deliveries over HTTP: signed by the source, within their time, once, and of a size that intake takes."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sealserve.errors import StorageFailed
from sealserve.records.documents import DocumentState
from sealserve.records.sources import ItemState, NewSource, SourceKind
from sealserve.sources.webhook import Webhook
from tests.sources.conftest import Shop

KEY = "signing-key"
NOW = 1_800_000_000
HOOK = NewSource(name="cms", kind=SourceKind.WEBHOOK, mirror=True, secret_variable="SOURCE_ACME__CMS")
RETURNS = {"key": "returns", "text": "Lamps may be returned for 30 days, if they are whole."}


class Sender:
    """Signs and sends."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def send(
        self, fields: Any, *, key: str = KEY, at: int | str = NOW, to: str = "/sources/acme/cms", signature: str = ""
    ) -> Any:
        body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        digest = hmac.new(key.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        proof = (signature or f"sha256={digest}").encode("latin-1")
        headers = {b"X-Timestamp": str(at).encode(), b"X-Signature": proof}
        return self.client.post(to, content=body, headers=headers)


@pytest.fixture
def sender(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sender]:
    monkeypatch.setenv("SOURCE_ACME__CMS", KEY)
    shop.add(HOOK)
    webhook = Webhook(shop.registry, shop.inbox, shop.settings, wall_clock=lambda: float(NOW))
    with TestClient(Starlette(routes=[webhook.route()])) as client:
        yield Sender(client)


def test_a_signed_item_becomes_a_document(shop: Shop, sender: Sender) -> None:
    answer = sender.send(RETURNS)
    assert answer.status_code == 200
    assert answer.json()["state"] == "received"
    document = shop.document_of("returns", name="cms")
    assert (document.document, document.state) == (answer.json()["document"], DocumentState.ADMITTED)
    assert document.source == "webhook:cms/returns"


def test_content_of_any_format_comes_in_base64(shop: Shop, sender: Sender) -> None:
    page = b"<html><head><title>Hours</title></head><body><p>The shop opens at nine.</p></body></html>"
    fields = {"key": "hours", "media_type": "text/html", "content": base64.b64encode(page).decode()}
    assert sender.send(fields).status_code == 200
    assert shop.document_of("hours", name="cms").title == "Hours"


def test_a_change_replaces_and_a_deletion_forgets(shop: Shop, sender: Sender) -> None:
    first = sender.send(RETURNS).json()["document"]
    second = sender.send({**RETURNS, "text": "Lamps may be returned for 45 days."}).json()["document"]
    assert shop.documents() == {first: DocumentState.FORGOTTEN, second: DocumentState.ADMITTED}
    assert sender.send({"key": "returns", "event": "delete"}).json()["state"] == "gone"
    assert set(shop.documents().values()) == {DocumentState.FORGOTTEN}
    assert shop.states(name="cms") == {"returns": ItemState.GONE}


def test_a_deletion_of_what_never_came_changes_nothing(shop: Shop, sender: Sender) -> None:
    assert sender.send({"key": "nothing", "event": "delete"}).json()["state"] == "gone"
    assert shop.states(name="cms") == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "guess"},
        {"signature": "sha256=" + "0" * 64},
        {"signature": "sha1=abc"},
        {"signature": "ü"},
        {"to": "/sources/acme/other"},
        {"to": "/sources/globex/cms"},
        {"to": "/sources/A%00/cms"},
        {"at": NOW - 301},
        {"at": NOW + 301},
        {"at": "soon"},
        {"at": ""},
        {"at": "9" * 400},
    ],
)
def test_what_is_not_signed_by_the_source_just_now_is_refused(
    shop: Shop, sender: Sender, changes: dict[str, Any]
) -> None:
    answer = sender.send(RETURNS, **changes)
    assert answer.status_code == 401
    assert shop.documents() == {}


def test_a_signature_holds_for_its_own_body_only(shop: Shop, sender: Sender) -> None:
    signature = sender.send(RETURNS).request.headers["X-Signature"]
    forged = sender.send({**RETURNS, "text": "Lamps may never be returned."}, signature=signature)
    assert forged.status_code == 401
    assert len(shop.documents()) == 1


def test_a_delivery_counts_once(shop: Shop, sender: Sender) -> None:
    old = sender.send(RETURNS)
    sender.send({**RETURNS, "text": "Lamps may be returned for 45 days."})
    again = sender.send(RETURNS)
    assert (old.status_code, again.status_code, again.json()["error"]["reason"]) == (200, 409, "REPLAYED")
    assert "45 days" in shop.registry.documents.text("acme", shop.item("returns", name="cms").document)


def test_a_delivery_that_could_not_be_stored_may_be_sent_again(
    shop: Shop, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageFailed("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(shop.inbox, "receive_version", full)
        failed = sender.send(RETURNS)
    assert (failed.status_code, failed.headers["retry-after"]) == (503, "5")
    assert sender.send(RETURNS).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"7", b"[" * 50_000, b"\xff", b'{"key": 7}', b'{"key": ""}', b'{"key": "a\\nb"}',
        b'{"key": "a", "event": "burn"}', b'{"key": "a", "content": "!"}', b'{"key": "a", "text": "\\ud800"}',
        b'{"key": "a"}',
    ],
)  # fmt: skip
def test_a_body_that_says_nothing_is_refused_with_a_reason(shop: Shop, sender: Sender, body: bytes) -> None:
    answer = sender.send(body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert shop.documents() == {}


def test_a_body_is_not_read_beyond_its_bound(shop: Shop, sender: Sender) -> None:
    answer = sender.send(b"x" * (shop.inbox.max_file_bytes * 2 + 65_536))
    assert (answer.status_code, answer.json()["error"]["reason"]) == (413, "TOO_LARGE")


def test_a_source_that_is_no_webhook_or_has_no_key_takes_nothing(
    shop: Shop, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.add(replace(HOOK, name="shelf", kind=SourceKind.DIRECTORY, location="shelf"))
    assert sender.send(RETURNS, to="/sources/acme/shelf").status_code == 401
    monkeypatch.delenv("SOURCE_ACME__CMS")
    assert sender.send(RETURNS, key="").status_code == 503
    assert shop.documents() == {}


def test_only_posts_are_answered(sender: Sender) -> None:
    assert sender.client.get("/sources/acme/cms").status_code == 405
