"""What a sync makes of a source: received, replaced, forgotten, or left alone, and each item's fate recorded."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from sealserve.errors import LeaseLost, StorageFailed
from sealserve.records.documents import DocumentState
from sealserve.records.sources import ItemState
from sealserve.settings.sources import SourceSettings
from sealserve.sources.connector import (
    Fetched,
    ItemFailed,
    ItemGone,
    ItemRefused,
    ListedItem,
    Listing,
    SourceFailed,
    Unchanged,
)
from sealserve.sources.sync import MAX_FAILURES_IN_ROW
from tests.sources.conftest import NEW, Shop

RETURNS = "Lamps may be returned for 30 days, if they are whole."
HOURS = "The shop opens at nine and closes at five."
STAFF = "Mira Holt keeps the books and answers the telephone."


class FakeSource:
    """A connector over a dict; `errors` are raised instead of fetching."""

    def __init__(self, **pages: str) -> None:
        self.pages = pages
        self.errors: dict[str, Exception] = {}
        self.fault = ""
        self.failure: Exception | None = None
        self.fetched: list[str] = []
        self.validated: list[tuple[str, str]] = []
        self.has_tokens = True
        self.cursors: list[str] = []
        self.is_unchanged = False
        self.on_fetch: Callable[[], None] = lambda: None

    def listing(self, cursor: str) -> Listing | Unchanged:
        self.cursors.append(cursor)
        if self.failure is not None:
            raise self.failure
        if self.is_unchanged and cursor:
            return Unchanged()
        tokens = {key: str(hash(text)) if self.has_tokens else "" for key, text in self.pages.items()}
        items = tuple(ListedItem(key=key, token=token) for key, token in tokens.items())
        return Listing(items=items, cursor="c1", fault=self.fault)

    def fetch(self, item: ListedItem, *, validator: str) -> Fetched | Unchanged:
        self.on_fetch()
        self.fetched.append(item.key)
        self.validated.append((item.key, validator))
        if item.key in self.errors:
            raise self.errors[item.key]
        text = self.pages[item.key]
        now = f"etag:{hash(text)}"
        if validator == now:
            return Unchanged()
        label = f"https://docs.example.com/{item.key}"
        return Fetched(content=text.encode(), media_type="text/plain", label=label, validator=now)

    def close(self) -> None:
        """Nothing is open."""


def test_new_items_become_documents_once(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS, hours=HOURS)
    first = shop.sync(source)
    assert (first.counts.listed, first.counts.received, first.error) == (2, 2, "")
    assert shop.states() == {"returns": ItemState.RECEIVED, "hours": ItemState.RECEIVED}
    assert shop.document_of("returns").source == "https://docs.example.com/returns"
    source.fetched.clear()
    second = shop.sync(source)
    assert (second.counts.unchanged, second.counts.received, source.fetched) == (2, 0, [])
    assert len(shop.documents()) == 2


def test_without_tokens_the_server_is_asked_whether_an_item_changed(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS)
    source.has_tokens = False
    shop.sync(source)
    again = shop.sync(source)
    assert again.counts.unchanged == 1
    assert [validator for _, validator in source.validated] == ["", f"etag:{hash(RETURNS)}"]


def test_a_change_replaces_and_what_was_said_before_is_forgotten(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS)
    shop.sync(source)
    before = shop.item("returns").document
    source.pages["returns"] = "Lamps may be returned for 45 days, if they are whole."
    report = shop.sync(source)
    after = shop.item("returns").document
    assert (report.counts.received, report.counts.forgotten) == (1, 1)
    assert shop.documents() == {before: DocumentState.FORGOTTEN, after: DocumentState.ADMITTED}


def test_without_mirror_a_newer_version_only_sets_aside_what_still_waits(shop: Shop) -> None:
    shop.add(replace(NEW, mirror=False))
    source = FakeSource(returns=RETURNS)
    shop.sync(source)
    before = shop.item("returns").document
    source.pages["returns"] = "Lamps may be returned for 45 days, if they are whole."
    shop.sync(source)
    after = shop.item("returns").document
    assert shop.documents() == {before: DocumentState.SET_ASIDE, after: DocumentState.ADMITTED}
    assert shop.registry.documents.get("acme", before).reason == f"replaced by {after}"


@pytest.mark.parametrize("mirror", [True, False])
def test_a_change_that_is_taken_back_brings_the_first_version_back(shop: Shop, mirror: bool) -> None:
    shop.add(replace(NEW, mirror=mirror))
    source = FakeSource(returns=RETURNS)
    shop.sync(source)
    first = shop.item("returns").document
    source.pages["returns"] = "Lamps may be returned for 45 days, if they are whole."
    shop.sync(source)
    source.pages["returns"] = RETURNS
    shop.sync(source)
    assert shop.item("returns").document == first
    assert shop.documents()[first] is DocumentState.ADMITTED
    assert list(shop.documents().values()).count(DocumentState.ADMITTED) == 1


def test_what_a_person_forgot_does_not_come_back(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS)
    shop.sync(source)
    document = shop.item("returns").document
    shop.registry.unlearning.unlearn("acme", document, actor="ann", reason="a customer asked")
    source.has_tokens = False
    shop.sync(source)
    assert shop.documents() == {document: DocumentState.FORGOTTEN}


def test_what_left_a_mirrored_source_is_forgotten(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS, hours=HOURS)
    shop.sync(source)
    gone = shop.item("hours").document
    del source.pages["hours"]
    report = shop.sync(source)
    assert (report.counts.gone, report.counts.forgotten, report.alarm) == (1, 1, "")
    assert shop.documents()[gone] is DocumentState.FORGOTTEN
    assert shop.states() == {"returns": ItemState.RECEIVED, "hours": ItemState.GONE}


def test_without_mirror_what_left_stays_learned(shop: Shop) -> None:
    shop.add(replace(NEW, mirror=False))
    source = FakeSource(returns=RETURNS, hours=HOURS)
    shop.sync(source)
    del source.pages["hours"]
    report = shop.sync(source)
    assert (report.counts.gone, report.counts.forgotten) == (1, 0)
    assert set(shop.documents().values()) == {DocumentState.ADMITTED}


def test_a_rename_is_neither_a_loss_nor_a_new_document(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS, hours=HOURS)
    shop.sync(source)
    before = shop.documents()
    source.pages["opening"] = source.pages.pop("hours")
    report = shop.sync(source)
    assert report.counts.forgotten == 0
    assert shop.documents() == before
    assert shop.item("opening").document == shop.item("hours").document
    del source.pages["opening"]
    assert shop.sync(source).counts.forgotten == 1


def test_an_item_that_is_back_is_learned_again(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS, hours=HOURS)
    shop.sync(source)
    del source.pages["hours"]
    shop.sync(source)
    source.pages["hours"] = HOURS
    shop.sync(source)
    assert shop.document_of("hours").state is DocumentState.ADMITTED


def test_a_document_that_came_another_way_is_not_forgotten(shop: Shop) -> None:
    shop.inbox.receive("acme", HOURS.encode(), media_type="text/plain", actor="ann")
    shop.add()
    source = FakeSource(returns=RETURNS, hours=HOURS)
    shop.sync(source)
    del source.pages["hours"]
    report = shop.sync(source)
    assert (report.counts.gone, report.counts.forgotten) == (1, 0)
    assert set(shop.documents().values()) == {DocumentState.ADMITTED}


def test_a_document_that_another_source_has_stays_until_it_leaves_that_too(shop: Shop) -> None:
    shop.add()
    shop.add(replace(NEW, name="copy"))
    source, copy = FakeSource(returns=RETURNS, hours=HOURS), FakeSource(staff=STAFF, hours=HOURS)
    shop.sync(source)
    shop.sync(copy, name="copy")
    del source.pages["hours"]
    assert shop.sync(source).counts.forgotten == 0
    del copy.pages["hours"]
    assert shop.sync(copy, name="copy").counts.forgotten == 1


def test_when_too_much_leaves_at_once_nothing_is_forgotten_until_a_person_agrees(shop: Shop) -> None:
    shop.add()
    source = FakeSource(**{f"page{n}": f"Rule {n} of the shop is that lamp {n} costs {n} crowns." for n in range(10)})
    shop.sync(source)
    before = shop.documents()
    source.pages = {"page0": source.pages["page0"]}
    for _ in range(2):
        report = shop.sync(source)
        assert "9 of 10 items" in report.alarm
        assert report.counts.gone == 0
        assert shop.documents() == before
        assert shop.registry.sources.get("acme", "site").alarm == report.alarm
    shop.registry.sources.request_sync("acme", "site", accept_removals=True, actor="ann")
    report = shop.sync(source)
    assert (report.alarm, report.counts.forgotten) == ("", 9)
    assert not shop.registry.sources.get("acme", "site").removals_accepted


def test_a_source_whose_items_are_all_renamed_raises_no_alarm(shop: Shop) -> None:
    shop.add()
    source = FakeSource(**{f"page{n}": f"Rule {n} of the shop is that lamp {n} costs {n} crowns." for n in range(10)})
    shop.sync(source)
    before = shop.documents()
    source.pages = {f"guide/{name}": text for name, text in source.pages.items() if name != "page7"}
    report = shop.sync(source)
    assert (report.alarm, report.counts.gone, report.counts.forgotten) == ("", 10, 1)
    assert sum(before[name] is not state for name, state in shop.documents().items()) == 1


def test_an_alarm_ends_by_itself_when_the_items_are_back(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS, hours=HOURS, staff=STAFF)
    shop.sync(source)
    pages, source.pages = source.pages, {}
    assert shop.sync(source).alarm
    source.pages = pages
    assert shop.sync(source).alarm == ""
    assert set(shop.documents().values()) == {DocumentState.ADMITTED}


def test_what_an_incomplete_listing_lacks_has_not_left(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS, hours=HOURS)
    shop.sync(source)
    del source.pages["hours"]
    source.fault = "docs: Permission denied"
    report = shop.sync(source)
    assert (report.counts.gone, report.error) == (0, "docs: Permission denied")
    assert shop.states()["hours"] is ItemState.RECEIVED


def test_a_source_that_is_away_changes_nothing(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS)
    shop.sync(source)
    before = (shop.documents(), shop.states())
    source.failure = SourceFailed("docs.example.com: no connection")
    report = shop.sync(source)
    assert report.error == "docs.example.com: no connection"
    assert shop.registry.sources.get("acme", "site").failures == 1
    assert (shop.documents(), shop.states()) == before


def test_a_bad_item_costs_the_others_nothing_and_is_tried_again(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS, hours=HOURS, staff=STAFF)
    source.errors = {"hours": ItemFailed("hours: status 500"), "staff": ItemRefused("staff: too large")}
    report = shop.sync(source)
    assert (report.counts.received, report.counts.failed, report.counts.refused) == (1, 1, 1)
    assert shop.states() == {
        "returns": ItemState.RECEIVED,
        "hours": ItemState.FAILED,
        "staff": ItemState.REFUSED,
    }
    assert "status 500" in shop.item("hours").reason
    source.errors.clear()
    source.fetched.clear()
    assert shop.sync(source).counts.received == 1
    assert source.fetched == ["hours"]


def test_an_empty_item_is_refused_until_it_changes(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns="")
    assert shop.sync(source).counts.refused == 1
    assert "EMPTY" in shop.item("returns").reason
    source.pages["returns"] = RETURNS
    assert shop.sync(source).counts.received == 1


def test_a_page_that_is_not_there_counts_as_gone(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS, hours=HOURS)
    source.has_tokens = False
    shop.sync(source)
    source.errors["hours"] = ItemGone("hours: status 404")
    report = shop.sync(source)
    assert (report.counts.gone, report.counts.forgotten) == (1, 1)


def test_many_failures_in_a_row_end_the_sync(shop: Shop) -> None:
    shop.add()
    source = FakeSource(**{f"page{n}": RETURNS for n in range(MAX_FAILURES_IN_ROW + 5)})
    source.errors = {key: ItemFailed(f"{key}: timed out") for key in source.pages}
    report = shop.sync(source)
    assert "in a row failed" in report.error
    assert len(source.fetched) == MAX_FAILURES_IN_ROW


def test_a_sync_that_was_cut_off_goes_on_where_it_was(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS, hours=HOURS, staff=STAFF)

    def lose_it() -> None:
        if source.fetched:
            raise LeaseLost("another process has it")

    source.on_fetch = lose_it
    with pytest.raises(LeaseLost):
        shop.sync(source)
    assert list(shop.states()) == ["returns"]
    source.on_fetch = lambda: None
    source.fetched.clear()
    report = shop.sync(source)
    assert (report.counts.received, report.counts.unchanged) == (2, 1)
    assert source.fetched == ["hours", "staff"]


def test_a_failing_store_ends_the_sync_and_loses_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS)

    def full(*_: object, **__: object) -> None:
        raise StorageFailed("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(shop.inbox, "receive", full)
        assert "disk is full" in shop.sync(source).error
    assert shop.sync(source).counts.received == 1


def test_a_limit_of_one_sync_leaves_the_rest_to_the_next_and_forgets_nothing(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS, hours=HOURS, staff=STAFF)
    tight = SourceSettings(max_sync_bytes=1024)
    source.pages["returns"] = RETURNS * 30
    report = shop.sync(source, settings=tight)
    assert report.is_partial
    assert report.counts.received < 3
    for _ in range(3):
        report = shop.sync(source, settings=tight)
    assert set(shop.states()) == {"returns", "hours", "staff"}
    assert not report.is_partial


def test_the_cursor_is_kept_only_when_nothing_is_left_to_do(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS)
    source.is_unchanged = True
    source.errors["returns"] = ItemFailed("returns: status 500")
    shop.sync(source)
    source.errors.clear()
    shop.sync(source)
    assert shop.sync(source).counts.unchanged == 1
    assert source.cursors == ["", "", "c1"]


def test_a_new_version_that_policy_holds_leaves_the_earlier_one_learned(shop: Shop) -> None:
    shop.add()
    source = FakeSource(returns=RETURNS)
    shop.sync(source)
    before = shop.item("returns").document
    source.pages["returns"] = "Lamps may be returned for 45 days, if they are whole."
    document, _ = shop.inbox.receive("acme", source.pages["returns"].encode(), media_type="text/plain", actor="x")
    shop.registry.documents.hold("acme", [document.document], reason="policy", actor="x")
    shop.sync(source)
    assert shop.item("returns").superseded == (before,)
    assert shop.documents()[before] is DocumentState.ADMITTED
    shop.registry.documents.release("acme", document.document, actor="ann", reason="read")
    shop.sync(source)
    assert shop.documents()[before] is DocumentState.FORGOTTEN


def test_a_title_and_address_that_cannot_be_shown_do_not_stop_an_item(shop: Shop) -> None:
    shop.add()
    source = FakeSource(**{"re\u202eturns\n": RETURNS})
    assert shop.sync(source).counts.received == 1
