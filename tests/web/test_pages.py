"""What people see, and what their decisions do: the page over a real server and registry."""

from pathlib import Path
from typing import Any

from sealserve.records.approvals import ApprovalState
from sealserve.records.principals import Role
from tests.rpc.test_approvals import FOUR_EYES, TWO_PEOPLE, rules
from tests.web.browser import Page, looking, words
from tests.web.held import REASON, WHOLE, hold


def state(page: Page) -> Any:
    registry = page.here.registry
    return registry.tenants.get("acme"), registry.approvals.page("acme"), page.world.document_states()


async def test_inbox_shows_what_waits_newest_first_and_what_was_decided(page: Page) -> None:
    await page.log_in()
    assert "No version awaits a decision." in words(await page.get("/"))
    hold(page.world, "acme")
    hold(page.world, "globex")
    inbox = await page.get("/")
    assert inbox.status_code == 200
    assert inbox.text.index("/approvals/globex/1") < inbox.text.index("/approvals/acme/1")
    assert REASON in words(inbox)
    assert "held 3 hours ago" in words(inbox)
    assert (await page.decide("reject", reason="lacks units")).status_code == 303
    inbox = await page.get("/")
    assert inbox.text.index("Recent decisions") < inbox.text.index("/approvals/acme/1")
    assert "rejected bea" in words(inbox)


async def test_page_of_a_held_version_shows_all_there_is_to_decide_on(page: Page) -> None:
    document = hold(page.world, text="The pier opens at nine.")
    await page.log_in()
    shown = words(await page.get("/approvals/acme/v1"))
    for text in (
        "Opening hours", document.document, "The pier opens at nine.", "dddddddddddd", "verdict: hold",
        "old skills: lost a little", "promote.careful hold this tenant wants a person to look",
        "evaluated at adapter.promote, rules bbbbbbbbbbbb",
        "+0.962", "+0.800 … +0.993", "not measured: the engine was away", "not applicable: nothing was learned before",
        "tone@2", "When does pier 9 open?", "✗ wrong I don't know.", "✓ right At nine.", "✗ wrong At ten.",
        "admitted, candidates 0", "dropped: not grounded", "rank 8", "ann", "No decisions yet.",
    ):  # fmt: skip
        assert text.lower() in shown.lower(), text
    assert (await page.get("/approvals/acme/1")).text.count('<svg class="bar"') == 3


async def test_second_study_of_a_document_shows_what_changed(page: Page) -> None:
    hold(page.world, text="The pier opens at nine.")
    page.here.registry.approvals.approve("acme", 1, actor="bea", reason="")
    hold(page.world, text="The pier opens at ten.", hour="ten")
    await page.log_in()
    answer = await page.get("/approvals/acme/2")
    assert "1 self-edits unchanged, 1 added (+), 1 removed (−)" in words(answer)
    assert '<span class="del">-qa: Q: When does the pier open? / A: At nine.</span>' in answer.text
    assert '<span class="add">+qa: Q: When does the pier open? / A: At ten.</span>' in answer.text


async def test_approval_makes_the_version_answer_and_says_so(page: Page) -> None:
    hold(page.world)
    await page.log_in()
    done = await page.decide("approve", reason="read and tried")
    assert (done.status_code, done.headers["location"]) == (303, "/approvals/acme/1?said=approve")
    after = words(await page.get(done.headers["location"]))
    assert "v1 is approved and active for acme." in after
    assert "bea approves" in after
    assert "Approve v1" not in after
    assert page.here.registry.tenants.get("acme").desired_version == 1


async def test_rejection_without_a_reason_or_with_too_long_a_one_changes_nothing_and_loses_nothing(page: Page) -> None:
    hold(page.world)
    await page.log_in()
    before = state(page)
    silent = await page.decide("reject", reason=" ")
    assert (silent.status_code, "reason is required: say what is wrong with the version" in words(silent)) == (
        400,
        True,
    )
    wordy = await page.decide("reject", reason="x" * 1025)
    assert (wordy.status_code, "at most 1024 characters" in words(wordy)) == (400, True)
    assert "x" * 1025 in wordy.text
    assert (await page.decide("maybe")).status_code == 400
    assert state(page) == before
    assert (await page.decide("reject", reason="lacks units")).status_code == 303
    assert page.here.registry.approvals.get("acme", 1).opinions[0].reason == "lacks units"


async def test_second_decision_and_a_late_one_are_told_so(page: Page) -> None:
    hold(page.world)
    await page.log_in()
    stale = await page.get("/approvals/acme/1")
    page.world.version()  # the incumbent moves on while somebody reads
    etag = stale.text.split('name="etag" value="')[1].split('"')[0]
    late = await page.post("/approvals/acme/1", decision="approve", reason="read it", etag=etag)
    assert late.status_code == 409
    assert "no longer active" in words(late)
    assert "read it</textarea>" in late.text
    assert "Approve v1" not in words(late)
    assert (await page.decide("reject", reason="late")).status_code == 303
    twice = await page.post("/approvals/acme/1", decision="approve", reason="again")
    assert (twice.status_code, "was rejected by bea already" in words(twice)) == (409, True)
    assert "again" in words(twice)


async def test_decision_on_another_state_than_was_read_is_refused(page: Page) -> None:
    hold(page.world)
    await page.log_in()
    before = state(page)
    answer = await page.post("/approvals/acme/1", decision="approve", reason="r", etag="0" * 16)
    assert (answer.status_code, "changed by somebody else" in words(answer)) == (409, True)
    assert state(page) == before


async def test_form_sent_twice_is_one_decision(page: Page) -> None:
    hold(page.world)
    await page.log_in()
    for _ in range(2):
        sent = await page.post("/approvals/acme/1", decision="approve", reason="once", request_id="r1")
        assert sent.status_code == 303
    assert page.here.registry.tenants.get("acme").activation == 1


async def test_who_may_only_read_sees_the_page_and_is_refused_in_the_servers_words(page: Page) -> None:
    hold(page.world)
    await page.log_in("vic", Role.VIEWER, "acme")
    before = state(page)
    denied = await page.decide("approve", reason="let me")
    assert denied.status_code == 403
    assert "vic is viewer; this call needs the role approver" in words(denied)
    assert "let me</textarea>" in denied.text
    assert state(page) == before


async def test_author_is_refused_where_policy_asks_for_four_eyes(tmp_path: Path) -> None:
    async with looking(tmp_path, rules=rules(FOUR_EYES)) as page:
        hold(page.world, card=WHOLE)
        await page.log_in("ann", Role.TENANT_ADMIN, "acme")
        denied = await page.decide("approve", reason="mine")
        assert (denied.status_code, "approval.four_eyes" in words(denied)) == (403, True)
        assert page.here.registry.approvals.get("acme", 1).state is ApprovalState.WAITING


async def test_where_policy_wants_two_people_the_first_is_told_so(tmp_path: Path) -> None:
    async with looking(tmp_path, rules=rules(TWO_PEOPLE)) as page:
        hold(page.world, card=WHOLE)
        await page.log_in("bea", Role.APPROVER)
        first = await page.decide("approve")
        assert "Policy requires more approvals" in words(await page.get(first.headers["location"]))
        await page.log_in("cid", Role.APPROVER)
        assert "1 approval so far" in words(await page.get("/"))
        second = await page.decide("approve")
        assert "v1 is approved" in words(await page.get(second.headers["location"]))


async def test_what_is_not_yours_and_what_is_not_there_look_the_same_to_the_byte(page: Page) -> None:
    hold(page.world, "globex")
    await page.log_in("bea", Role.APPROVER, "acme")
    assert "globex" not in (await page.get("/")).text
    before = page.here.registry.approvals.page("globex")
    paths = [f"/approvals/{name}" for name in ("globex/1", "globex/2", "nobody/1", "acme/7", "acme/x", "A%20B/1")]
    found = [await page.get(path) for path in [*paths, "/elsewhere"]]
    sent = [await page.post(path, decision="approve", reason="r") for path in paths[:4]]
    assert {answer.status_code for answer in (*found, *sent)} == {404}
    assert len({answer.content for answer in (*found, *sent)}) == 1
    assert page.here.registry.approvals.page("globex") == before


async def test_words_of_tenants_are_shown_as_words(page: Page) -> None:
    attack = "<script>alert(1)</script>\x1b[31m\u202e"
    hold(page.world, title="<img src=x onerror=alert(1)>", text=f"Opens {attack}")
    await page.log_in()
    refused = await page.decide("reject", reason=f"</textarea>{attack}" + "x" * 1024)
    assert (await page.decide("reject", reason=attack)).status_code == 303
    for answer in (refused, await page.get("/approvals/acme/1"), await page.get("/")):
        assert [part for part in ("<script", "<img", "\x1b", "\u202e") if part in answer.text] == []
        assert "&lt;script&gt;alert(1)&lt;/script&gt;\ufffd[31m\ufffd" in answer.text


async def test_server_that_is_away_loses_no_word(page: Page) -> None:
    hold(page.world)
    await page.log_in()
    await page.get("/approvals/acme/1")
    await page.here.server.stop()
    away = await page.post("/approvals/acme/1", decision="reject", reason="lacks units", request_id="r1")
    assert away.status_code == 503
    assert "Try again" in words(away)
    assert "lacks units</textarea>" in away.text
    assert 'name="request_id" value="r1"' in away.text
    inbox = await page.get("/")
    assert (inbox.status_code, "Try again in a moment" in words(inbox)) == (503, True)
