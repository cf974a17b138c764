"""Who gets in, and what is refused before anybody is asked."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sealserve.records.principals import Role
from sealserve.web.security import HEADERS, MAX_BODY_BYTES
from tests.web.browser import ORIGIN, OWN, Page, looking, words
from tests.web.held import hold


async def test_without_a_token_there_is_the_form_and_nothing_else(page: Page) -> None:
    hold(page.world)
    for path in ("/", "/approvals/acme/1", "/approvals/nobody/1"):
        answer = await page.get(path)
        assert answer.status_code == 401
        assert 'type="password"' in answer.text
        assert "Opening hours" not in answer.text
    assert "admin.token" in words(await page.get("/login"))
    sent = await page.post("/approvals/acme/1", decision="approve", reason="kept")
    assert (sent.status_code, "kept</textarea>" in sent.text) == (401, True)
    assert page.here.registry.approvals.get("acme", 1).opinions == ()


@pytest.mark.parametrize("typed", ["", "wrong", "sealserve_" + "x" * 43, "a b; c=d", "x" * 500, "\u0669\n\r"])
async def test_wrong_token_gets_the_form_again_and_no_cookie(page: Page, typed: str) -> None:
    answer = await page.post("/login", token=typed)
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "set-cookie" not in answer.headers
    assert not typed or f">{typed}<" not in answer.text


async def test_token_of_the_engine_may_not_look(page: Page) -> None:
    answer = await page.post("/login", token=page.token("learner", Role.ENGINE))
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


async def test_login_leads_where_one_wanted_to_go_and_nowhere_else(page: Page) -> None:
    hold(page.world)
    secret = page.token("bea", Role.APPROVER)
    wanted = await page.post("/login", token=f" {secret}\n", after="/approvals/acme/1")
    assert wanted.headers["location"] == "/approvals/acme/1"
    cookie = wanted.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "expires" not in cookie.lower()
    assert "max-age" not in cookie.lower()
    for elsewhere in ("//evil.example", "https://evil.example", "/\\evil.example", "/logout", "/\n/evil"):
        assert (await page.post("/login", token=secret, after=elsewhere)).headers["location"] == "/"


async def test_logged_out_is_out(page: Page) -> None:
    await page.log_in()
    assert (await page.get("/")).status_code == 200
    assert (await page.post("/logout")).status_code == 303
    assert (await page.get("/")).status_code == 401


async def test_expired_token_is_asked_for_again(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(page.world)
    secret = page.token("bea", Role.APPROVER, expires_days=1)
    assert (await page.post("/login", token=secret)).status_code == 303
    later = datetime.now(UTC) + timedelta(days=2)
    known = page.here.server._known
    monkeypatch.setattr(known, "_utc_now", lambda: later)
    assert known._seen
    sent = await page.post("/approvals/acme/1", decision="approve", reason="kept")
    assert (sent.status_code, "expired" in words(sent), "kept</textarea>" in sent.text) == (401, True, True)
    answer = await page.get("/")
    assert (answer.status_code, "this token expired" in words(answer)) == (401, True)
    assert "Max-Age=0" in answer.headers["set-cookie"]


async def test_where_everybody_may_do_all_nobody_logs_in(tmp_path: Path) -> None:
    async with looking(tmp_path, is_open=True) as page:
        hold(page.world)
        assert (await page.get("/login")).headers["location"] == "/"
        inbox = await page.get("/")
        assert (inbox.status_code, "v1 of acme" in words(inbox), "Log out" in words(inbox)) == (200, True, False)
        assert (await page.decide("approve", reason="read it")).status_code == 303
        assert page.here.registry.approvals.get("acme", 1).opinions[0].actor == "anyone"


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "origin": ORIGIN}, {"origin": "http://evil.example"}, {"origin": "null"}, {},
    ],
)  # fmt: skip
async def test_form_that_another_site_sent_is_refused(page: Page, headers: dict[str, str]) -> None:
    hold(page.world)
    await page.log_in()
    form = {"decision": "approve", "reason": "forged"}
    answer = await page.http.post("/approvals/acme/1", data=form, headers=headers)
    assert answer.status_code == 403
    assert page.here.registry.approvals.get("acme", 1).opinions == ()
    assert (await page.http.post("/logout", headers=headers)).status_code == 403


async def test_form_of_ours_passes_where_the_browser_names_its_origin_alone(page: Page) -> None:
    hold(page.world)
    await page.log_in()
    form = {"decision": "reject", "reason": "lacks units"}
    answer = await page.http.post("/approvals/acme/1", data=form, headers={"origin": ORIGIN})
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7433", 401), ("localhost:9000", 401), ("[::1]:7433", 401), ("evil.example:7433", 421),
        ("127.0.0.1.evil.example", 421), ("", 421), ("[::1", 421), ("10.0.0.1", 421),
    ],
)  # fmt: skip
async def test_page_on_loopback_answers_to_names_of_this_machine_alone(page: Page, host: str, status: int) -> None:
    assert (await page.get("/", host=host)).status_code == status


async def test_large_form_is_refused_whether_it_says_so_or_not(page: Page) -> None:
    await page.log_in()
    body = b"reason=" + b"x" * MAX_BODY_BYTES

    async def pieces() -> AsyncIterator[bytes]:
        yield body[:1000]
        yield body[1000:]

    assert (await page.http.post("/approvals/acme/1", content=body, headers=OWN)).status_code == 413
    assert (await page.http.post("/approvals/acme/1", content=pieces(), headers=OWN)).status_code == 413


@pytest.mark.parametrize("body", [b"\xff\xfe", b"&".join([b"a=b"] * 30), b"reason=%ff"])
async def test_what_is_no_form_is_refused(page: Page, body: bytes) -> None:
    await page.log_in()
    assert (await page.http.post("/approvals/acme/1", content=body, headers=OWN)).status_code == 400


async def test_every_response_keeps_others_out(page: Page) -> None:
    hold(page.world)
    refused = [await page.get("/", host="evil.example"), await page.http.post("/login"), await page.get("/nowhere")]
    await page.log_in()
    seen = [await page.get(path) for path in ("/", "/approvals/acme/1", "/page.css", "/login")]
    wrong = await page.http.put("/", headers=OWN)
    assert wrong.status_code == 405
    for answer in (*refused, *seen, wrong):
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert not any(part in answer.text for part in ("<script", " style=", " onclick=", "http://", "https://"))
