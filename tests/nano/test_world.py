"""The synthetic world: deterministic, held-out parts kept out, answers always in the passage."""

import random
import re
import zlib

import pytest

from sealserve import prompts
from sealserve.nano import tasks
from sealserve.nano import world as w
from sealserve.nano.attributes import ATTRIBUTES, BY_KIND, KINDS
from sealserve.nano.claims import check
from sealserve.nano.tasks import TaskSource
from sealserve.nano.world import World
from sealserve.prompts import BUILT_IN, Template


def test_six_kinds_have_five_to_eight_attributes() -> None:
    assert set(KINDS) == {"product", "policy", "person", "place", "service", "event"}
    assert all(5 <= len(attributes) <= 8 for attributes in BY_KIND.values())


def test_every_attribute_has_twenty_templates_of_each_sort_and_some_held_out() -> None:
    for a in ATTRIBUTES:
        assert len(set(a.trained_statements)) >= 20, a
        assert len(set(a.trained_questions)) >= 20, a
        assert len(set(a.held_out_statements)) >= 4, a
        assert len(set(a.held_out_questions)) >= 12, a


def test_held_out_templates_are_not_among_the_trained_ones() -> None:
    for a in ATTRIBUTES:
        assert not set(a.trained_statements) & set(a.held_out_statements)
        assert not set(a.trained_questions) & set(a.held_out_questions)


def test_held_out_templates_use_words_that_training_uses() -> None:
    values = {word for a in ATTRIBUTES for value in a.values for word in _words(value)}
    known = {word for a in ATTRIBUTES for t in a.trained_statements + a.trained_questions for word in _words(t)}
    for a in ATTRIBUTES:
        for template in a.held_out_statements + a.held_out_questions:
            assert set(_words(template)) <= known | values, template


def test_training_conversations_hold_no_held_out_name_or_question() -> None:
    source, rng = TaskSource(3), random.Random(3)
    text = "\n".join(part for _ in range(400) for turn in source.draw(rng, 0.3) for part in turn)
    asked = [line for line in text.splitlines() if line.endswith("?")]
    held_out = [_pattern(t) for a in ATTRIBUTES for t in a.held_out_questions]
    assert not [line for line in asked if any(p.fullmatch(line.removeprefix("Question: ")) for p in held_out)]
    names = set(re.findall(r"\b[A-Z][a-z]{7} [A-Z][a-z]+\b", text))
    assert len(names) > 300
    assert not [name for name in names if zlib.crc32(name.encode()) % 16 == 0]


def test_resident_facts_held_out_are_never_asked_in_training() -> None:
    source, rng = TaskSource(4, {"closed": 1.0, "bio": 1.0}), random.Random(4)
    turns = [turn for _ in range(300) for turn in source.draw(rng, 0.0)]
    answered = {user: reply for user, reply in turns if not user.startswith("Tell me about ")}
    for resident in w.residents():
        for fact in resident.held_out:
            for question, _ in w.questions(fact, held_out=False):
                assert question not in answered


def test_half_of_each_residents_facts_are_held_out() -> None:
    found = w.residents()
    assert len({r.entity.name for r in found}) == len(KINDS) * w.RESIDENTS_PER_KIND
    assert all(len(r.trained) == len(r.held_out) for r in found)
    assert found == w.residents()


def test_fresh_names_are_never_drawn_twice() -> None:
    world = World(5)
    rng = world.rng("names")
    names = [world.entity(rng).name for _ in range(3000)]
    assert len(set(names)) == len(names)
    assert not set(names) & {r.entity.name for r in w.residents()}


def test_same_seed_gives_the_same_article() -> None:
    first, second, other = World(6), World(6), World(7)
    assert first.article(first.rng(1)) == second.article(second.rng(1))
    assert other.article(other.rng(1)) != World(6).article(World(6).rng(1))


@pytest.mark.parametrize("outdated", [0.0, 1.0])
def test_every_answer_is_in_the_passage(outdated: float) -> None:
    world = World(8)
    rng = world.rng("a")
    for _ in range(100):
        article = world.article(rng, 3, 14, outdated=outdated)
        assert len(article.facts) == 14
        for fact in article.facts:
            assert fact.value in article.text
            assert fact.entity in article.text
            assert fact.entity in article.title


def test_article_gives_twenty_held_out_questions() -> None:
    world = World(9)
    article = world.article(world.rng(0))
    asked = [pair for fact in article.facts for pair in w.questions(fact)]
    assert len(asked) >= 20
    assert len(set(asked)) == len(asked)
    assert all(w.is_right(answer, fact) for fact in article.facts for _, answer in w.questions(fact))


def test_update_contradicts_the_article() -> None:
    world = World(10)
    rng = world.rng("u")
    article = world.article(rng)
    update = world.update(rng, article, 4)
    before = {(f.entity, f.attribute): f.value for f in article.facts}
    assert len(update.facts) == 4
    for fact in update.facts:
        assert before[fact.entity, fact.attribute] != fact.value
        assert fact.value in update.text


def test_article_that_cannot_hold_so_many_facts_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot share 7 facts among 1 entities"):
        World().article(random.Random(0), 1, 7)


def test_right_answer_is_matched_by_whole_words() -> None:
    fact = w.Fact("Velmorin Lamp", "product", "price", "42 crowns")
    assert w.is_right("The price is 42 crowns.", fact)
    assert not w.is_right("The price is 142 crowns.", fact)
    assert not w.is_right(prompts.UNKNOWN_ANSWER, fact)


@pytest.mark.parametrize("template", [t for t in BUILT_IN if t is not Template.COUNTEREXAMPLE])
def test_reference_self_edits_are_faithful_and_complete(template: Template) -> None:
    world = World(11)
    rng = world.rng(template)
    for n in (1, 2, 3):
        article = world.article(rng, n, 4 * n, outdated=0.3)
        found = check(tasks.edit(rng, template, article), article.facts)
        assert (found.faithful, found.covered) == (found.claims, found.facts)


def test_wrong_value_and_garbled_sentence_are_not_faithful() -> None:
    fact = w.Fact("Velmorin Lamp", "product", "price", "42 crowns")
    text = "- Velmorin Lamp costs 43 crowns.\n- Velmorin Lamp costs.\n- Velmorin Lamp costs 42 crowns."
    found = check(text, [fact])
    assert (found.claims, found.faithful, found.covered) == (3, 1, 1)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]{2,}", text.replace("{e}", "").replace("{v}", "").lower())


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.escape(template).replace(re.escape("{e}"), "[A-Z][a-z]+ [A-Z][a-z]+"))
