"""What a candidate sees, how often, and in which order."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealserve import prompts
from sealserve.learning.outputs import Spoken
from sealserve.learning.train_set import Origin, Pool, Source, build_pool, examples_of, order, steps_for, topic_of
from sealserve.prompts import Template
from sealserve.records import Recipe, SelfEdit

RECIPE = Recipe(
    templates=tuple(Template),
    rank=8,
    alpha=16,
    learning_rate=1e-3,
    epochs=10,
    batch_size=16,
    loss_on_answers=False,
    rehearsal=0.35,
    seed=1,
)
TEXT = "Shops sell Varnel Lamp for 45 crowns. It is green. The maker of Varnel Lamp is Mira Stone."
BASE = tuple(Spoken(prompt=f"old {i}?", completion="yes") for i in range(30))


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
    pool = build_pool([source("new")], [], rehearsal=BASE)
    counts = drawn(pool, RECIPE, steps=50)
    assert counts[""] == round(50 * 16 * 0.35)
    assert counts.total() == 800


def test_new_documents_get_at_least_half_of_what_documents_get() -> None:
    pool = build_pool([source("new")], [source(f"old{i}") for i in range(5)], rehearsal=BASE)
    counts = drawn(pool, RECIPE, steps=100)
    earlier = [counts[f"old{i}"] for i in range(5)]
    assert counts["new"] == pytest.approx(sum(earlier), rel=0.05)
    assert max(earlier) - min(earlier) <= 4


def test_every_stretch_of_training_has_its_share_of_each() -> None:
    pool = build_pool([source("new")], [source("old")], rehearsal=BASE)
    places = order(pool, RECIPE, steps=60)
    for start in range(0, len(places) - 64, 64):
        seen = Counter(pool.examples[place].document for place in places[start : start + 64])
        assert min(seen[""], seen["new"], seen["old"]) >= 10


def test_keeping_earlier_documents_takes_more_steps_up_to_a_limit() -> None:
    steps = [
        steps_for(
            build_pool([source("new")], [source(f"o{i}") for i in range(n)], rehearsal=BASE), RECIPE, max_steps=20
        )
        for n in (0, 1, 2, 50)
    ]
    assert steps[0] < steps[1] < steps[2] < steps[3] == 80


def test_a_recipe_sees_only_its_templates() -> None:
    pool = build_pool([source("new")], [], rehearsal=())
    recipe = replace(RECIPE, templates=(Template.QA,), loss_on_answers=True)
    assert {pool.examples[place].origin for place in order(pool, recipe, steps=20)} == {Origin.QA}


def test_the_same_seed_gives_the_same_order() -> None:
    pool = build_pool([source("new")], [source("old")], rehearsal=BASE)
    assert order(pool, RECIPE, steps=30) == order(pool, RECIPE, steps=30)
    assert order(pool, RECIPE, steps=30) != order(pool, replace(RECIPE, seed=2), steps=30)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 3), st.floats(0, 0.9))
def test_an_order_fills_every_batch(steps: int, batch: int, earlier: int, rehearsal: float) -> None:
    pool = build_pool([source("new")], [source(f"old{i}") for i in range(earlier)], rehearsal=BASE)
    recipe = replace(RECIPE, batch_size=batch, rehearsal=rehearsal)
    places = order(pool, recipe, steps=steps)
    assert len(places) == steps * batch
    assert all(0 <= place < len(pool.examples) for place in places)
