"""What changed in the notes on a document, and how it is shown."""

from dataclasses import replace

from sealserve.prompts import Template
from sealserve.records.cycles import EarlierStudy, SelfEdit
from sealserve.records.self_edit_diff import changes

STUDY = EarlierStudy(document="new", earlier_document="old", cycle="c1")


def note(text: str, *, cycle: str, document: str, admitted: bool = True) -> SelfEdit:
    return SelfEdit(
        tenant="acme", cycle=cycle, self_edit=text, document=document, template=Template.LONG, text=text, seed=1,
        admitted=admitted, reason="",
    )  # fmt: skip


def test_a_change_names_what_came_and_what_went() -> None:
    before = [note(text, cycle="c1", document="old") for text in ("It costs 9.", "It is red.")]
    after = [note(text, cycle="c2", document="new") for text in ("It is red.", "It costs 7.", "It is big.")]
    (change,) = changes([STUDY], after, before)
    assert (change.same, change.added, change.removed) == (1, 2, 1)
    assert [line for line in change.lines if line[0] in "+-" and line[:3] not in ("+++", "---")] == [
        "-long: It costs 9.",
        "+long: It costs 7.",
        "+long: It is big.",
    ]


def test_dropped_notes_and_other_documents_do_not_count() -> None:
    same = note("It is red.\nQuite red.", cycle="c1", document="old")
    stray = [replace(same, document="other"), replace(same, admitted=False), replace(same, cycle="c0")]
    (change,) = changes([STUDY], [replace(same, cycle="c2", document="new")], [same, *stray])
    assert (change.same, change.added, change.removed, change.lines) == (1, 0, 0, ())
