"""Diversity counts what is said once, however much is said."""

from itertools import product

from sealserve.learning.study.diversity import WINDOW_WORDS, distinct

FACTS = [
    f"The {a} of {e} is {n} {u}."
    for n, (e, (a, u)) in enumerate(
        product(
            ("Varnel Lamp", "Tolu Kite", "Mira Stone", "Quayside Hall", "Port Ashby"),
            (("price", "crowns"), ("weight", "kilos"), ("age", "years"), ("height", "feet"), ("length", "metres")),
        )
    )
]


def test_different_facts_are_diverse_and_one_fact_told_over_and_over_is_not() -> None:
    told = [
        f"Question: {w} what is the price of Varnel Lamp?\nAnswer: The price is 45 crowns." for w in FACTS[0].split()
    ]
    same = [f"The price of Varnel Lamp is 45 crowns, {word}." for word in "yes indeed truly surely so".split()] * 8
    facts, asked, repeated = distinct(FACTS), distinct(told), distinct(same)
    assert facts
    assert asked
    assert repeated
    assert facts > 0.4 > asked > 0.15 > repeated


def test_it_does_not_depend_on_how_much_is_said_nor_on_the_order() -> None:
    once, often = distinct(FACTS), distinct([f"{fact} Indeed number{n}." for n in range(20) for fact in FACTS])
    assert once
    assert often
    assert distinct(reversed(FACTS)) == once
    assert sum(len(fact.split()) for fact in FACTS) * 20 > WINDOW_WORDS
    assert often > once / 2


def test_nothing_said_is_not_measured() -> None:
    assert distinct([]) is None
    assert distinct(["word"]) is None
