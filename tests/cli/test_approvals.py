"""`sealserve approvals`: what waits for a person, and what the person does."""

from tests.cli.site import Site


def test_held_version_is_listed_shown_and_approved(site: Site) -> None:
    document = site.world.document("acme", title="Opening hours")
    site.world.version("acme", held=True)
    (waiting,) = site.json("approvals", "list")["approvals"]
    assert (waiting["tenant"], waiting["version"], waiting["state"]) == ("acme", 1, "waiting")
    shown = site.json("approvals", "show", "acme", "v1")
    assert [one["title"] for one in shown["documents"]] == ["Opening hours"]
    assert {"reason", "authors", "opinions", "cycle_report", "self_edits", "changes", "answers"} <= set(shown)
    page = site.run("approvals", "show", "acme", "1").out
    for text in ("Opening hours", document.document, "held by", "because", "no decisions yet"):
        assert text in page
    approved = site.json("approvals", "approve", "acme", "1", "--no-wait", "--reason", "read it")
    assert (approved["state"], approved["activation"]["version"]) == ("approved", 1)
    assert "no version awaits" in site.run("approvals", "list").out
    assert [one["state"] for one in site.json("approvals", "list", "acme", "--all")["approvals"]] == ["approved"]


def test_held_documents_are_listed_with_the_reason_until_they_are_released(site: Site) -> None:
    document = site.world.held_document("acme")
    site.world.document("acme")
    (held,) = site.json("approvals", "list")["documents"]
    assert (held["tenant"], held["document"], held["reason"]) == ("acme", document.document, "ingest.flood")
    assert document.document in site.run("approvals", "list", "acme").out
    site.json("doc", "release", "acme", document.document)
    assert site.json("approvals", "list")["documents"] == []
    assert "no document awaits" in site.run("approvals", "list").out


def test_rejection_needs_a_reason_and_keeps_it(site: Site) -> None:
    site.world.version("acme", held=True)
    assert site.run("approvals", "reject", "acme", "1").code == 2
    rejected = site.json("approvals", "reject", "acme", "1", "--reason", "lacks units")
    assert (rejected["state"], rejected["opinions"][0]["reason"]) == ("rejected", "lacks units")
    again = site.json("approvals", "approve", "acme", "1", code=2)
    assert again["error"]["reason"] == "ALREADY_DECIDED"
    around = site.json("adapter", "promote", "acme", "1", code=2)
    assert around["error"]["reason"] == "VERSION_REJECTED"


def test_version_that_was_never_held_is_not_there(site: Site) -> None:
    site.world.version("acme")
    assert site.json("approvals", "show", "acme", "1", code=3)["error"]["reason"] == "NOT_FOUND"
