"""`ask`: the answer on stdout, its origin on stderr, both in one object with --json."""

import pytest

from sealserve.errors import EngineFailed
from sealserve.records.reports import Piece
from tests.cli.site import Site

ANSWER_KEYS = {"text", "tenant", "version", "adapter", "activation", "request_id", "finish", "usage"}


def test_an_answer_streams_to_stdout_and_its_version_to_stderr(site: Site) -> None:
    site.engine.answers[(None, "How long?")] = "Thirty days."
    ran = site.run("ask", "acme", "How long?")
    assert (ran.code, ran.out) == (0, "Thirty days.\n")
    assert "tenants/acme/adapters/base" in ran.err


def test_json_holds_the_answer_and_where_it_came_from(site: Site) -> None:
    site.engine.answers[(None, "How long?")] = "Thirty days."
    answer = site.json("ask", "acme", "How long?", "--max-tokens", "5", "--temperature", "0.5", "--seed", "7")
    assert set(answer) == ANSWER_KEYS
    assert (answer["text"], answer["version"], answer["finish"]) == ("Thirty days.", 0, "stop")
    assert set(answer["usage"]) == {"prompt_tokens", "completion_tokens", "cached_tokens"}
    assert answer["request_id"]
    (request,) = site.engine.requests
    assert (request.sampling.max_tokens, request.sampling.temperature, request.sampling.seed) == (5, 0.5, 7)  # type: ignore[union-attr]


def test_a_question_comes_from_stdin_too(site: Site) -> None:
    site.engine.answers[(None, "How long?")] = "Thirty days."
    assert site.run("ask", "acme", "-", stdin="How long?").out == "Thirty days.\n"


def test_an_answer_cannot_steer_the_terminal(site: Site) -> None:
    site.engine.answers[(None, "How long?")] = "\x1b]0;owned\x07Thirty\ndays."
    shown = site.run("ask", "acme", "How long?").out
    assert "\x1b" not in shown
    assert "Thirty\ndays." in shown


def test_absurd_sampling_is_the_callers_fault(site: Site) -> None:
    for arguments in (("--max-tokens", "-1"), ("--temperature", "-3"), ("--seed", "-9")):
        assert site.json("ask", "acme", "Hello?", *arguments, code=2)["error"]["reason"] == "INVALID_ARGUMENT"


def test_a_dead_engine_ends_with_four(site: Site) -> None:
    site.engine.die()
    assert site.json("ask", "acme", "Hello?", code=4)["error"]["message"]


def test_an_answer_that_breaks_off_is_never_taken_for_whole() -> None:
    from sealserve.cli.ask import _read

    with pytest.raises(EngineFailed, match="broke off"):
        _read(iter([Piece(text="Thirty", completion_tokens=1)]), is_quiet=True)
