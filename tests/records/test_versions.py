"""A version's lineage and its JSON form."""

from sealserve.records.versions import Lineage


def test_lineage_keeps_every_key_that_was_recorded_and_adds_none() -> None:
    tree = {
        "recipe": {"rank": 8, "templates": ["qa"]},
        "self_edits": [],
        "base_digest": "",
        "approvals": ["bea"],
        "of_another_release": {"kept": [1, None]},
    }
    found = Lineage.from_json(tree)
    assert (found.self_edits, found.approvals, found.verdict) == ((), ("bea",), None)
    assert found.to_json() == tree
    assert Lineage.from_json({}).to_json() == {}
