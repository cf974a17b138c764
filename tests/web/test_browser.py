"""The page in a real browser: a person logs in, reads, decides, with no complaint of the browser's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from sealserve.daemon.local import free_address
from sealserve.records.approvals import ApprovalState
from sealserve.records.documents import DocumentState
from sealserve.records.principals import Principal, Role
from sealserve.settings.settings import Settings
from sealserve.web.server import serve_page
from tests.additions import find_chromium
from tests.rpc.harness import Served, served
from tests.web.held import hold

WITHOUT = "no Chromium on this machine (Debian: apt-get install chromium)"
pytestmark = [pytest.mark.browser, pytest.mark.skipif("find_chromium() is None", reason=WITHOUT)]

PATIENCE_MILLISECONDS = 60_000
"""On a loaded machine a browser takes its time."""

UNLABELLED = """() => [...document.querySelectorAll('input:not([type=hidden]), textarea, select, button')]
  .filter(one => !(one.labels && one.labels.length) && !one.innerText.trim() && !one.getAttribute('aria-label'))
  .map(one => one.outerHTML)"""
WIDER_THAN_SCREEN = "() => document.documentElement.scrollWidth > window.innerWidth"


@asynccontextmanager
async def page_of(here: Served) -> AsyncIterator[str]:
    """The page, listening; gives its address."""
    address = free_address()
    settings = Settings.model_validate({"serve": {"address": here.address}, "web": {"address": address}})
    task = asyncio.create_task(serve_page(settings))
    try:
        yield f"http://{address}"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Chromium, without a window."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox"], timeout=PATIENCE_MILLISECONDS
        )
        try:
            yield chromium
        finally:
            await chromium.close()


async def check(page: Page) -> None:
    """Every control has a name, there is one first heading, and nothing is wider than the screen."""
    await page.wait_for_load_state("load")  # before its style sheet has come, everything is as wide as it likes
    assert await page.evaluate(UNLABELLED) == []
    assert await page.locator("h1").count() == 1
    assert not await page.evaluate(WIDER_THAN_SCREEN)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("width", [400, 1280])
async def test_person_logs_in_reads_approves_and_the_inbox_is_empty(tmp_path: Path, width: int) -> None:
    async with served(tmp_path) as here, page_of(here) as site, browser() as chromium:
        hold(here.world, text="The pier opens at nine. " * 20)
        approver = Principal(name="bea", role=Role.APPROVER, tenants=("acme",))
        secret = here.registry.tokens.create(approver, actor="test")[1]
        expect.set_options(timeout=PATIENCE_MILLISECONDS)
        page = await chromium.new_page(viewport={"width": width, "height": 800})
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(site)
        complaints.clear()  # that the first page is a 401 is one
        await check(page)
        await page.get_by_label("Token").fill(secret)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Waiting for a decision")
        await check(page)
        await page.get_by_role("link", name="v1 of acme").click()
        await expect(page.get_by_role("heading", name="Scores")).to_be_visible()
        await check(page)
        await page.get_by_label("Reason").fill("read and tried")
        await page.get_by_role("button", name="Approve v1").press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("v1 is approved")
        await check(page)
        held = here.world.held_document("acme")
        await page.get_by_role("link", name="sealserve approvals").click()
        await expect(page.locator("#waiting")).to_have_text("No version awaits a decision.")
        await check(page)
        await page.get_by_role("link", name=held.title).click()
        await expect(page.get_by_role("heading", name="Text")).to_be_visible()
        await check(page)
        await page.get_by_label("Reason").fill("read it")
        await page.get_by_role("button", name="Release").press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("The document is released")
        await check(page)
        await page.get_by_role("link", name="sealserve approvals").click()
        await expect(page.locator("#documents")).to_have_text("No document awaits a decision.")
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_label("Token")).to_be_visible()
        assert complaints == []
        assert here.registry.approvals.get("acme", 1).state is ApprovalState.APPROVED
        assert here.registry.documents.get("acme", held.document).state is DocumentState.ADMITTED
