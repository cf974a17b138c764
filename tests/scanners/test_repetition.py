"""How much of a text is new against another."""

import pytest

from sealserve.scanners.repetition import Told, news_in, sketch_of

PAGE = "The tariff of Norvik Ferry is nine crowns. It leaves from pier four. Dogs travel for nothing. Ask on board."


def news(text: str, *, title: str = "Norvik Ferry", earlier: str = PAGE) -> str:
    found = news_in(text, title=title, earlier=Told(earlier))
    return "none" if found.is_none else "slight" if found.is_slight else "new"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (PAGE, "none"),
        ("Ask on board. Dogs travel for nothing. It leaves from pier four. The tariff is nine crowns.", "none"),
        (PAGE.replace("The tariff", "Really, the tariff"), "none"),
        (f"Notice of 4 May 2026. {PAGE}".replace("Notice of", "Norvik Ferry,"), "none"),
        (PAGE.replace("four", "12"), "slight"),
        (f"{PAGE} Bicycles are carried on deck in summer. The kiosk sells tea. The captain is Ulla Rind.", "new"),
    ],
)
def test_an_order_a_date_and_a_filler_are_no_news_and_a_number_is_little(text: str, what: str) -> None:
    assert news(text) == what


def test_a_page_of_a_series_is_about_something_else() -> None:
    page = "{0} leaves from pier four. Dogs travel for nothing. Tickets are sold on board. Children pay. {0} is old."
    first, second = (page.format(name) for name in ("Norvik Ferry", "Selmer Ferry"))
    assert news(second, title="Selmer Ferry", earlier=first) == "new"


def test_scripts_without_spaces_are_compared_too() -> None:
    page = "渡轮票价是九克朗。渡轮从四号码头出发。狗可以免费乘船。"
    assert news("狗可以免费乘船。渡轮票价是九克朗。", title="通知", earlier=page) == "none"
    assert news("船上的茶馆卖茶和面包。孩子只付一半票价。", title="茶馆", earlier=page) == "new"


def test_near_copies_share_most_of_their_sketch() -> None:
    copy = PAGE.replace("nine", "10")
    assert len({*sketch_of(PAGE)} & {*sketch_of(copy)}) >= 3
    assert not {*sketch_of(PAGE)} & {*sketch_of("Lamps are lent for two years.")}
