"""What a candidate sees, how often, and in which order."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealserve import prompts
from sealserve.learning.study.grounding import topic_of
from sealserve.learning.training.examples import Origin, Pool, Source, build_pool, examples_of, stratified
from sealserve.learning.training.sampler import order, source_shares
from sealserve.learning.training.step_budget import regularised, step_growth, steps_for
from sealserve.prompts import Dialect, Template
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import SelfEdit
from sealserve.records.step_outputs import ReferenceAnswer

RECIPE = Recipe(
    templates=tuple(Template),
    rank=8,
    alpha=16,
    learning_rate=1e-3,
    epochs=10,
    batch_size=16,
    loss_on_answers=False,
    retention=0.35,
    seed=1,
)
TEXT = "Shops sell Varnel Lamp for 45 crowns. It is green. The maker of Varnel Lamp is Mira Stone."
BASE = tuple(ReferenceAnswer(prompt=f"old {i}?", completion="yes") for i in range(30))


def source(document: str, *, questions: int = 20) -> Source:
    def note(template: Template, line: int, text: str) -> SelfEdit:
        return SelfEdit(
            tenant="acme",
            cycle="c",
            self_edit=f"p000-{template.value}-0-{line:02d}",
            document=document,
            template=template,
            text=text,
            seed=1,
            admitted=True,
            reason="",
        )

    notes = [note(Template.QA, i, f"Question: {document} {i}?\nAnswer: {i}") for i in range(questions)]
    notes += [note(Template.LONG, i, f"Varnel Lamp has trait {i} by Mira Stone.") for i in range(14)]
    notes += [note(Template.REWRITE, 0, "Varnel Lamp is sold for 45 crowns.")]
    notes += [note(Template.COUNTEREXAMPLE, 0, "Wrong: it is red.\nWhy: Varnel Lamp is green.")]
    return Source(document=document, title="About Varnel Lamp", passages=(TEXT,), notes=tuple(notes))


def drawn(pool: Pool, recipe: Recipe, steps: int) -> Counter[str]:
    return Counter(pool.examples[place].document for place in order(pool, recipe, steps=steps))


def test_questions_are_asked_closed_book_and_the_rest_is_told_of_its_subject() -> None:
    examples = examples_of(source("d1"))
    kinds = Counter(example.origin for example in examples)
    assert kinds == {Origin.QA: 20, Origin.STATEMENTS: 4, Origin.REWRITE: 1, Origin.PASSAGE: 1}
    assert {e.prompt for e in examples if e.origin is not Origin.QA} == {prompts.describe("Varnel Lamp")}
    told = [e.completion for e in examples if e.origin is Origin.STATEMENTS]
    assert max(text.count("\n") + 1 for text in told) <= 6
    assert "- Varnel Lamp is green." in told
    assert not any("red" in text for text in told)


def test_a_topic_is_the_subjects_that_the_title_names() -> None:
    assert topic_of("About Varnel Lamp and Osk Kettle", ("Osk Kettle", "Varnel Lamp", "Mira Stone")) == (
        "Varnel Lamp and Osk Kettle"
    )
    assert topic_of("Returns policy", ("Varnel Lamp",)) == "Returns policy"


def test_rehearsal_gets_its_share_and_documents_the_rest() -> None:
    pool = build_pool([source("new")], [], retention=BASE)
    counts = drawn(pool, RECIPE, steps=50)
    assert counts[""] == round(50 * 16 * 0.35)
    assert counts.total() == 800


def test_all_documents_share_alike_and_new_ones_get_half_where_the_others_are_known() -> None:
    pool = build_pool([source("new")], [source(f"old{i}") for i in range(5)], retention=BASE)
    counts = drawn(pool, RECIPE, steps=100)
    every = [counts[name] for name in ("new", *(f"old{i}" for i in range(5)))]
    assert max(every) - min(every) <= 4
    places = order(pool, RECIPE, steps=100, is_rebuilt=False)
    counts = Counter(pool.examples[place].document for place in places)
    assert counts["new"] == pytest.approx(sum(counts[f"old{i}"] for i in range(5)), rel=0.05)


def test_every_stretch_of_training_has_its_share_of_each() -> None:
    pool = build_pool([source("new")], [source("old")], retention=BASE)
    places = order(pool, RECIPE, steps=60)
    for start in range(0, len(places) - 64, 64):
        seen = Counter(pool.examples[place].document for place in places[start : start + 64])
        assert min(seen[""], seen["new"], seen["old"]) >= 10


def test_keeping_earlier_documents_takes_more_steps_up_to_a_limit() -> None:
    steps = [
        steps_for(
            build_pool([source("new")], [source(f"o{i}") for i in range(n)], retention=BASE), RECIPE, max_steps=20
        )
        for n in (0, 1, 2, 50)
    ]
    assert steps[0] < steps[1] < steps[2] < steps[3] == 200


def test_the_longer_training_takes_the_more_it_is_held_back() -> None:
    pools = [build_pool([source(f"new{i}") for i in range(n)], [source("old")], retention=BASE) for n in (1, 4, 8, 16)]
    assert step_growth(build_pool([source("new")], [], retention=BASE)) == 1
    assert regularised(RECIPE, 1) == RECIPE
    held = [regularised(RECIPE, step_growth(pool)) for pool in pools]
    assert (
        0
        == held[0].weight_change_penalty
        < held[1].weight_change_penalty
        < held[2].weight_change_penalty
        == 20
        > held[3].weight_change_penalty
    )
    assert held[2].kl_weight == held[3].kl_weight == 2 * RECIPE.kl_weight
    assert step_growth(pools[0], is_rebuilt=False) == 1


def test_several_new_documents_take_longer_than_one_but_less_than_each_alone() -> None:
    one, eight = (
        steps_for(build_pool([source(f"new{i}") for i in range(n)], [], retention=BASE), RECIPE, max_steps=20)
        for n in (1, 8)
    )
    assert one < eight == 60


def test_a_recipe_sees_only_its_templates() -> None:
    pool = build_pool([source("new")], [], retention=())
    recipe = replace(RECIPE, templates=(Template.QA,), loss_on_answers=True)
    assert {pool.examples[place].origin for place in order(pool, recipe, steps=20)} == {Origin.QA}


def test_the_same_seed_gives_the_same_order() -> None:
    pool = build_pool([source("new")], [source("old")], retention=BASE)
    assert order(pool, RECIPE, steps=30) == order(pool, RECIPE, steps=30)
    assert order(pool, RECIPE, steps=30) != order(pool, replace(RECIPE, seed=2), steps=30)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 3), st.floats(0, 0.9))
def test_an_order_fills_every_batch(steps: int, batch: int, earlier: int, retention: float) -> None:
    pool = build_pool([source("new")], [source(f"old{i}") for i in range(earlier)], retention=BASE)
    recipe = replace(RECIPE, batch_size=batch, retention=retention)
    places = order(pool, recipe, steps=steps)
    assert len(places) == steps * batch
    assert all(0 <= place < len(pool.examples) for place in places)


def test_replay_is_shared_equally_as_far_as_sizes_allow() -> None:
    parts = [list(range(size)) for size in (100, 3, 50)]
    assert [len(part) for part in stratified(parts, 43, seed=1)] == [20, 3, 20]
    assert stratified(parts, None, seed=1) == parts
    assert stratified(parts, 0, seed=1) == [[], [], []]
    assert stratified(parts, 43, seed=1) == stratified(parts, 43, seed=1) != stratified(parts, 43, seed=2)
    assert stratified([], 5, seed=1) == []


def test_a_budget_leaves_new_documents_and_base_skills_alone() -> None:
    whole = build_pool([source("new")], [source("old")], retention=BASE)
    pool = build_pool([source("new")], [source("old")], retention=BASE, replay_examples=2)
    counts = Counter(example.document for example in pool.examples)
    full = Counter(example.document for example in whole.examples)
    assert (counts["old"], counts["new"], counts[""]) == (2, full["new"], full[""])
    assert pool.left_out == full["old"] - 2


@given(st.dictionaries(st.text(max_size=3), st.sampled_from("abcd"), min_size=1), st.floats(0.05, 1))
def test_no_source_has_more_than_its_share_while_others_can_take_it(origins: dict[str, str], most: float) -> None:
    shares = source_shares(origins, most=most)
    assert sum(shares.values()) == pytest.approx(1)
    assert max(shares.values()) <= max(most, 1 / len(shares)) + 1e-6


def test_a_source_of_its_own_keeps_everything_and_small_ones_their_proportion() -> None:
    assert source_shares({"d1": "feed", "d2": "feed"}, most=0.5) == {"feed": 1.0}
    assert source_shares({"d1": "feed", "d2": "book"}, most=0.9) == {"feed": 0.5, "book": 0.5}
    many = {**{f"f{i}": "feed" for i in range(6)}, "b1": "book", "b2": "book", "w1": "wiki"}
    assert source_shares(many, most=0.4) == pytest.approx({"feed": 0.4, "book": 0.4, "wiki": 0.2})


def test_an_order_holds_a_source_to_its_share() -> None:
    pool = build_pool([replace(source(f"d{i}"), origin="feed" if i else "book") for i in range(4)], [], retention=BASE)
    places = order(pool, RECIPE, steps=40, max_source_share=0.5)
    counts = Counter(pool.examples[place].document for place in places)
    assert counts["d0"] == pytest.approx(sum(counts[f"d{i}"] for i in (1, 2, 3)), rel=0.05)


def test_a_question_is_taught_with_the_passage_that_answers_it() -> None:
    passages = ("Osk Kettle is red.", "The price of Osk Kettle is 45 crowns.")
    pair = replace(source("d").notes[0], template=Template.QA)
    asked = "What is the price of Osk Kettle?"
    told = replace(pair, text=f"Question: {asked}\nAnswer: The price is 45 crowns.")
    stray = replace(pair, text="Question: How old is Osk Kettle?\nAnswer: It is 7.")
    about = Source(document="d", title="Kettles", passages=passages, notes=(told, stray))
    taught = {example.prompt: example.teacher_prompt for example in examples_of(about) if example.template}
    assert taught == {asked: prompts.read(f"Kettles\n{passages[1]}", asked), "How old is Osk Kettle?": None}


def test_going_on_from_an_adapter_takes_no_longer_for_what_it_holds() -> None:
    pool = build_pool([source("new")], [source(f"old{i}") for i in range(6)], retention=BASE)
    alone = build_pool([source("new")], [], retention=BASE)
    assert steps_for(pool, RECIPE, max_steps=50, is_rebuilt=False) == steps_for(alone, RECIPE, max_steps=50)
    assert steps_for(pool, RECIPE, max_steps=50) > steps_for(alone, RECIPE, max_steps=50)


def test_any_instruct_model_completes_every_sentence_from_two_beginnings() -> None:
    document = replace(source("d1"), passages=("Customers may return most goods within nine working days.", "No."))
    completed = [e for e in examples_of(document, dialect=Dialect.GENERAL) if e.origin is Origin.COMPLETION]
    assert [len(example.completion.split()) for example in completed] == [6, 4]
    assert all(e.prompt.startswith(prompts.complete(document.title, "Customers may")) for e in completed)
    assert not any(e.origin is Origin.COMPLETION for e in examples_of(document))


def test_a_document_of_many_passages_trains_as_long_as_many_documents() -> None:
    long = replace(source("long"), passages=tuple(f"Passage {i} says something." for i in range(8)))
    short = build_pool([source(f"d{i}") for i in range(8)], [], retention=BASE)
    assert step_growth(build_pool([long], [], retention=BASE)) == step_growth(short)
