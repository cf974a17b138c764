"""`tenant` and `doc`: what they print and how they end."""

from pathlib import Path

from sealserve.records.documents import DocumentState
from tests.cli.site import Site
from tests.intake.samples import pdf

TENANT_KEYS = {"tenant", "display_name", "desired_version", "activation", "etag", "created_at"}
DOCUMENT_KEYS = {
    "tenant", "document", "digest", "title", "source", "media_type", "size_bytes", "state", "reason", "created_at",
}  # fmt: skip


def test_a_tenant_is_made_shown_and_listed(site: Site) -> None:
    made = site.json("tenant", "create", "initech", "--display-name", "Initech [bold]")
    assert set(made) == TENANT_KEYS
    assert (made["tenant"], made["desired_version"], made["activation"]) == ("initech", 0, 0)
    assert site.json("tenant", "show", "initech") == made
    listed = site.json("tenant", "list")
    assert [tenant["tenant"] for tenant in listed["tenants"]] == ["acme", "globex", "initech"]
    shown = site.run("tenant", "list")
    assert "Initech [bold]" in shown.out


def test_a_tenant_that_cannot_be_made_is_the_callers_fault(site: Site) -> None:
    for name, reason in (("acme", "ALREADY_EXISTS"), ("Not A Name", "INVALID_ARGUMENT")):
        failed = site.json("tenant", "create", name, code=2)
        assert failed["error"]["reason"] == reason
        assert failed["error"]["message"]


def test_documents_come_from_files_directories_and_stdin(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "handbook"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.md").write_text("# Returns\nLamps go back within 30 days.")
    (folder / "deep" / "b.pdf").write_bytes(pdf())
    (folder / "c.odt").write_text("left alone")
    added = site.run("doc", "add", "acme", str(folder), "-", "--json", stdin="Chairs stay.")
    assert added.code == 0
    assert [(one["document"]["title"], one["is_new"], one["error"]) for one in added.shown["documents"]] == [
        ("Returns", True, ""), ("Lamps may be returned within 30 days.", True, ""), ("Chairs stay.", True, ""),
    ]  # fmt: skip
    assert {one["document"]["source"] for one in added.shown["documents"]} == {"file:a.md", "file:b.pdf", "stdin"}
    listed = site.json("doc", "list", "acme")["documents"]
    assert [set(one) for one in listed] == [DOCUMENT_KEYS] * 3
    assert {one["state"] for one in listed} == {"admitted"}


def test_the_same_document_again_says_so(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Lamps go back.")
    assert site.json("doc", "add", "acme", str(path))["documents"][0]["is_new"] is True
    assert site.json("doc", "add", "acme", str(path))["documents"][0]["is_new"] is False
    assert "already known" in site.run("doc", "add", "acme", str(path)).out


def test_one_bad_document_does_not_lose_the_others(site: Site, tmp_path: Path) -> None:
    files = {"bad.txt": bytes(range(256)), "empty.txt": b"", "good.txt": b"Good words.", "huge.txt": b"x" * 200_000}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    added = site.json("doc", "add", "acme", *(str(tmp_path / name) for name in files), code=2)["documents"]
    states = [one["document"]["state"] if one["document"] else "refused" for one in added]
    assert states == ["quarantined", "refused", "admitted", "refused"]
    assert "empty" in added[1]["error"]
    assert "100000" in added[3]["error"]
    assert added[0]["document"]["reason"].startswith("BINARY: ")
    quarantined = site.json("doc", "list", "acme", "--state", "quarantined")["documents"]
    assert [one["source"] for one in quarantined] == ["file:bad.txt"]


def test_a_held_document_is_released_once(site: Site) -> None:
    held = site.world.held_document().document
    released = site.json("doc", "release", "acme", held, "--reason", "read it")
    assert (set(released), released["state"]) == (DOCUMENT_KEYS, "admitted")
    assert site.json("doc", "release", "acme", held, code=2)["error"]["reason"] == "ALREADY_RELEASED"
    assert site.json("doc", "release", "acme", "0" * 16, code=3)["error"]["reason"] == "NOT_FOUND"
    row = site.registry.audit.rows(tenant="acme")[-1]
    assert (row.action, row.actor, row.details["reason"]) == ("document.release", "admin", "read it")


def test_several_held_documents_are_released_each_with_its_own_entry(site: Site) -> None:
    held = [site.world.held_document().document for _ in range(2)]
    ran = site.json("doc", "release", "acme", *held, "0" * 16, "--reason", "a series", code=2)
    assert [(one["document"], one["error"] != "") for one in ran["documents"]] == [
        (held[0], False), (held[1], False), ("0" * 16, True),
    ]  # fmt: skip
    rows = [row for row in site.registry.audit.rows(tenant="acme") if row.action == "document.release"]
    assert [(row.subject.rpartition("/")[2], row.details["reason"]) for row in rows] == [
        (name, "a series") for name in held
    ]


def test_all_that_one_rule_holds_is_released_after_a_question(site: Site) -> None:
    flood = [site.world.held_document().document]
    for reason in ("like 0123, of the same source", "ingest.secret: it holds a password"):
        flood.append(site.world.stopped_document(state=DocumentState.HELD, reason=reason).document)
    secret = flood.pop()
    line = ("doc", "release", "acme", "--all", "--rule", "ingest.flood")
    assert site.run(*line, stdin="n\n").code != 0
    assert {one["state"] for one in site.json("doc", "list", "acme")["documents"]} == {"held"}
    assert [one["document"] for one in site.json(*line, "--yes")["documents"]] == flood
    assert site.json("doc", "show", "acme", secret)["state"] == "held"
    for wrong in (("doc", "release", "acme"), ("doc", "release", "acme", secret, "--all")):
        assert "--all" in site.json(*wrong, code=2)["error"]["message"]


def test_a_document_is_shown_with_its_text_on_request(site: Site) -> None:
    document = site.world.document(text="Lamps go back.\x1b[31m")
    without = site.json("doc", "show", "acme", document.document)
    assert set(without) == DOCUMENT_KEYS
    assert site.json("doc", "show", "acme", document.document, "--text")["text"] == "Lamps go back.\x1b[31m"
    shown = site.run("doc", "show", "acme", document.document, "--text").out
    assert "Lamps go back." in shown
    assert "\x1b[31m" not in shown


def test_a_path_that_is_not_there_is_the_callers_fault(site: Site, tmp_path: Path) -> None:
    failed = site.json("doc", "add", "acme", str(tmp_path / "missing.txt"), code=2)
    assert "no such file" in failed["error"]["message"]
    assert site.registry.documents.page("acme").items == ()


def test_one_title_does_not_fit_many_documents(site: Site) -> None:
    assert "--title" in site.json("doc", "add", "acme", "a", "b", "--title", "x", code=2)["error"]["message"]


def test_what_is_not_there_ends_with_three(site: Site) -> None:
    for line in (
        "tenant show nobody", "doc list nobody", "doc show acme 0000000000000000", "ask nobody Hello?",
        "cycle start nobody", "cycle show acme cccccccccccccccc", "cycle watch acme cccccccccccccccc",
        "adapter list nobody", "adapter show acme v7", "adapter promote acme 7", "audit list --tenant nobody",
    ):  # fmt: skip
        failed = site.json(*line.split(), code=3)
        assert failed["error"]["reason"] == "NOT_FOUND", line
        assert "does not exist" in failed["error"]["message"], line


def test_an_unknown_tenant_reads_no_file_and_says_so_on_stderr(site: Site) -> None:
    failed = site.run("doc", "add", "nobody", "-", stdin="Words.")
    assert failed.code == 3
    assert failed.out == ""
    assert "nobody" in failed.err
