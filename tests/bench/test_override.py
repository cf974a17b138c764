"""The override figure: its arithmetic and its articles, without a model."""

import json
from types import SimpleNamespace
from typing import Any, cast

from sealserve.bench.harness.learning_lab import Lab
from sealserve.bench.harness.result_tables import TABLES
from sealserve.bench.learning import override
from sealserve.bench.learning.override import Correction, Played
from sealserve.canaries.probes import probes_for
from sealserve.nano import world as w
from sealserve.records.cycles import CycleState
from sealserve.records.step_outputs import Overridden


def corrections(count: int) -> list[Correction]:
    """Correct the first attribute of so many residents."""
    rng = w.World(1).rng("corrections")
    facts = [resident.facts[0] for resident in w.residents()[:count]]
    return [
        Correction(old=fact, new=w.changed_fact(rng, fact), prior=-1.0, third=override.THIRDS[place % 3])
        for place, fact in enumerate(facts)
    ]


def played(**changes: Any) -> Played:
    return Played(
        **{
            "corrections": tuple(corrections(3)),
            "state": CycleState.PROMOTED,
            "reason": "",
            "is_refused_for_correction": False,
            "found": 1.0,
            "wrongly_excused": 0,
            "new": [[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]],
            "old": [[0.0, 0.0]] * 3,
            "siblings_lost": [[0.0, 1.0]] * 3,
            "others_lost": [[0.0, 0.0]] * 3,
            **changes,
        }
    )


def test_only_what_a_promoted_version_answers_counts_as_overridden() -> None:
    held = played(state=CycleState.HELD, is_refused_for_correction=True)
    figures = override._figures([played(), held], prefix="")
    assert figures["learned"] == 0.8333
    assert figures["override"] == 0.4167
    assert (figures["override_weak"], figures["override_strong"]) == (0.5, 0.25)
    assert (figures["siblings_lost"], figures["other_residents_lost"]) == (0.5, 0.0)
    assert (figures["refused_for_correction"], figures["promoted"]) == (0.5, 1)
    json.dumps(figures)


def test_articles_state_every_new_value_and_have_a_source_each() -> None:
    wanted = corrections(8)
    articles = override._articles(wanted, residents=4, seed=0)
    assert len({one.source for one in articles}) == len(articles) == 2
    for place, one in enumerate(wanted):
        text = articles[place // 4].text
        assert one.new.entity in text
        assert w.is_right(text, one.new)
        assert one.new.value != one.old.value


def test_what_is_excused_is_held_against_what_was_corrected() -> None:
    probes = probes_for("nano")
    lab = cast(Lab, SimpleNamespace(probes=probes))
    first, second, third = (probe.question for probe in probes.canary[:3])

    def excused(question: str, *items: str) -> Overridden:
        return Overridden(question=question, old_answer="", new_answer="", newer="d", items=items)

    found = [excused(first, f"canary/{first}"), excused(third, f"canary/{third}"), excused("rehearsed alone")]
    assert override._count_excused(lab, found, {first, second}) == (0.5, 1)


def test_the_table_shows_both_arms_beside_each_other() -> None:
    figures = {**override._figures([played()], prefix=""), **override._figures([played()], prefix="plain_")}
    table = TABLES["override"]({**figures, "goals": {}})
    assert "| answered by the new value | 0.833 [0.500, 1.000] | 0.833 [0.500, 1.000] |  |" in table
    assert "| wrongly excused | 0 | 0 |  |" in table


def test_every_fact_that_the_canary_measures_is_found_by_its_question() -> None:
    questions = {text for resident in w.residents() for fact in resident.facts for text, _ in w.questions(fact)}
    assert all(probe.question in questions for probe in probes_for("nano").canary)
