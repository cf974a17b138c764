"""What an editor is asked, and who the editor is."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from sealserve.engine.engine import AdapterFiles
from sealserve.errors import BadConfig
from sealserve.learning.engine_client import EngineClient, Reply
from sealserve.learning.study.generators import editor_of
from sealserve.learning.study.self_edits import Study, write_directives, write_self_edits
from sealserve.prompts import BUILT_IN, Dialect, Template, fenced, free_recipe_fault, study
from sealserve.records.inference import Sampling
from sealserve.records.step_outputs import Passage
from sealserve.settings.learn import StudySettings, learn_settings
from tests.fakes import FakeEngine

TEXT = "About Varnel Lamp\nVarnel Lamp costs 45 crowns."
RECIPE = "Study this by asking why."


def piece(part: int, parts: int) -> Study:
    passage = Passage(document="d1", title="About Varnel Lamp", start=0, end=9, part=part, parts=parts)
    return Study(passage=passage, text=TEXT)


class Scribe:
    """An editor that writes the same to everything and keeps what it was asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[str] = []
        self.dialect = Dialect.EMBEDDED

    async def ask(self, prompt: str, *, sampling: Sampling, examples: Sequence[tuple[str, str]] = ()) -> Reply:
        """Answer."""
        self.asked.append(prompt)
        return Reply(text=self.text, is_cut=False)


async def test_a_passage_is_studied_in_every_way_and_as_the_tenants_free_recipe_says() -> None:
    scribe = Scribe("Question: Why?\nAnswer: Because.\nQuestion: What?\nAnswer: That.")
    settings = StudySettings(qa_edits=2, tenant_recipes={"acme": RECIPE})
    self_edits = await write_self_edits(scribe, [piece(1, 1)], settings=settings, tenant="acme", cycle="c")
    assert scribe.asked.count(study(Template.QA, TEXT)) == 2
    assert f"{RECIPE}\n{fenced(TEXT)}" in scribe.asked
    assert len(scribe.asked) == len(BUILT_IN) + 2
    free = [self_edit.text for self_edit in self_edits if self_edit.template is Template.FREE]
    assert free == ["Question: Why?\nAnswer: Because.", "Question: What?\nAnswer: That."]
    await write_self_edits(scribe, [piece(1, 1)], settings=settings, tenant="globex", cycle="c")
    assert sum(RECIPE in prompt for prompt in scribe.asked) == 1


async def test_free_notes_that_are_no_questions_are_statements() -> None:
    scribe = Scribe("- It is green.\n- It is big.")
    self_edits = await write_self_edits(
        scribe, [piece(1, 1)], settings=StudySettings(free_recipe=RECIPE), tenant="a", cycle="c"
    )
    assert [self_edit.text for self_edit in self_edits if self_edit.template is Template.FREE] == [
        "It is green.",
        "It is big.",
    ]


async def test_a_piece_of_a_long_document_is_told_which_it_is_and_a_whole_one_nothing() -> None:
    scribe = Scribe("{}")
    settings = StudySettings()
    await write_self_edits(scribe, [piece(2, 5)], settings=settings, tenant="acme", cycle="c")
    await write_directives(scribe, [piece(1, 1)], settings=settings, cycle="c")
    assert all("About Varnel Lamp (part 2 of 5)\nVarnel" in prompt for prompt in scribe.asked[:-1])
    assert "part" not in scribe.asked[-1]
    assert piece(2, 5).text == TEXT


@pytest.mark.parametrize(
    ("recipe", "fault"),
    [
        (RECIPE, ""),
        ("  ", "characters"),
        ("x" * 501, "characters"),
        ("Study </article> this.", "fenced"),
        ("One line.\nAnother.", "one line"),
    ],
)
def test_a_free_recipe_is_one_short_line_that_leaves_the_fence_alone(recipe: str, fault: str) -> None:
    assert fault in free_recipe_fault(recipe)
    assert bool(free_recipe_fault(recipe)) == bool(fault)


@pytest.mark.parametrize(("editor", "loads"), [("base", False), ("tenant", True), ("trained", True)])
async def test_the_editor_is_the_base_or_an_adapter(editor: str, loads: bool, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    engine = FakeEngine(answerer=lambda adapter, _: adapter or "base")
    await engine.start()
    client = EngineClient(engine, tenant="acme", cycle="c", concurrency=2)
    files = AdapterFiles(name="cand-c-incumbent", path=tmp_path)
    settings = learn_settings(study__editor=editor)
    async with editor_of(settings, client, adapter=files) as chosen:
        assert (await chosen.ask("Who?", sampling=Sampling())).text == (files.name if loads else "base")
    assert (await engine.info()).loaded == ()
    async with editor_of(settings, client, adapter=None) as chosen:
        assert (await chosen.ask("Who?", sampling=Sampling())).text == "base"


async def test_a_teacher_whose_key_is_missing_is_no_editor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_KEY", raising=False)
    settings = learn_settings(
        study__editor="endpoint",
        teacher__url="http://127.0.0.1:9/v1",
        teacher__model="m",
        teacher__key_variable="NO_KEY",
    )
    client = EngineClient(FakeEngine(), tenant="acme", cycle="c", concurrency=1)
    with pytest.raises(BadConfig, match="NO_KEY"):
        async with editor_of(settings, client, adapter=None):
            pass
