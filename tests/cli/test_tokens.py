"""`sealserve token`, and how the command line finds out who it is."""

from pathlib import Path

import pytest

from sealserve.local_tokens import ADMIN_FILE
from sealserve.records.principals import SECRET_PREFIX
from tests.cli.site import Site, run
from tests.rpc.harness import ADMIN_SECRET


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEALSERVE_TOKEN", raising=False)
    monkeypatch.setenv("SEALSERVE_DATA_DIRECTORY", str(tmp_path / "own"))


def test_token_is_made_shown_once_and_revoked(site: Site) -> None:
    made = site.json("token", "create", "acme/bob", "--role", "operator", "--tenant", "acme")
    assert made["secret"].startswith(SECRET_PREFIX)
    asked = ("--address", site.address, "--token", made["secret"], "tenant", "list", "--json")
    assert [one["tenant"] for one in run(*asked).shown["tenants"]] == ["acme"]
    listed = site.run("token", "list")
    assert "acme/bob" in listed.out
    assert made["secret"] not in listed.out
    assert site.json("token", "revoke", "acme/bob")["revoked_at"]
    refused = run(*asked)
    assert (refused.code, refused.shown["error"]["reason"]) == (2, "UNAUTHENTICATED")
    assert site.json("token", "revoke", "nobody", code=3)["error"]["reason"] == "NOT_FOUND"


def test_token_ends_where_its_maker_says_so_and_the_list_says_when(site: Site) -> None:
    made = site.json("token", "create", "ann", "--role", "viewer", "--all-tenants", "--expires-days", "90")
    assert made["expires_at"] > made["created_at"]
    assert "never" in site.run("token", "list").out
    assert [one["expires_at"] for one in site.json("token", "list")["tokens"]][-1] == made["expires_at"]


@pytest.mark.parametrize("days", ["0", "-1", "3651", "1" + "0" * 30, "soon", "1.5", ""])
def test_days_that_cannot_be_make_no_token(site: Site, days: str) -> None:
    ran = site.run("token", "create", "ann", "--role", "viewer", "--all-tenants", f"--expires-days={days}")
    assert ran.code == 2
    assert [one["principal"]["name"] for one in site.json("token", "list")["tokens"]] == ["admin", "engine"]


def test_secret_is_shown_to_people_too(site: Site) -> None:
    shown = site.run("token", "create", "ann", "--role", "admin", "--all-tenants")
    assert shown.code == 0
    assert SECRET_PREFIX in shown.out
    assert "not shown again" in shown.out


@pytest.mark.parametrize("bound", [(), ("--tenant", "acme", "--all-tenants")])
def test_which_tenants_a_token_is_for_has_to_be_said(site: Site, bound: tuple[str, ...]) -> None:
    failed = site.json("token", "create", "ann", "--role", "viewer", *bound, code=2)
    assert "--all-tenants" in failed["error"]["message"]


def test_without_a_token_the_command_line_says_what_to_give(site: Site) -> None:
    ran = run("--address", site.address, "tenant", "list", "--json")
    assert (ran.code, ran.shown["error"]["reason"]) == (2, "TOKEN_MISSING")
    assert "SEALSERVE_TOKEN" in ran.err


def test_administrators_token_is_found_in_the_data_directory(site: Site, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / ADMIN_FILE).write_text(ADMIN_SECRET)
    assert run("--address", site.address, "tenant", "list", "--json").code == 0


def test_administrators_token_is_shown_to_no_other_machine(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / ADMIN_FILE).write_text(ADMIN_SECRET)
    ran = run("--address", "sealserve.invalid:1", "tenant", "list", "--json")
    assert (ran.code, ran.shown["error"]["reason"]) == (4, "UNAVAILABLE")  # a token would be refused: plain text


def test_environment_says_who_and_the_option_beats_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALSERVE_TOKEN", ADMIN_SECRET)
    assert run("--address", site.address, "tenant", "list", "--json").code == 0
    assert run("--address", site.address, "tenant", "list", "--token", "wrong", "--json").code == 2
    assert run("--address", site.address, "--token", "wrong", "tenant", "list", "--json").code == 2
