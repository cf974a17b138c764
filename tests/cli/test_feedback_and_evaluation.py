"""`sealserve feedback` and `sealserve evaluation`."""

from pathlib import Path

from tests.cli.site import Site

LINES = '{"question": "How many?", "answer": "45"}\n\n{"question": "What code?", "answer": "A1", "matcher": "exact"}\n'


def test_feedback_is_given_and_listed_with_the_thumbs_of_each_version(site: Site) -> None:
    kept = site.json("feedback", "add", "acme", "r1", "down", "--question", "How many?", "--correction", "45 crowns")
    assert kept["opinion"]["correction"] == "45 crowns"
    assert site.run("feedback", "add", "acme", "r1", "up").code == 2
    assert site.run("feedback", "add", "acme", "r2", "up", "--version", "7").code == 3
    listed = site.json("feedback", "list", "acme")
    assert [one["feedback"] for one in listed["feedback"]] == [kept["feedback"]]
    (score,) = listed["versions"]
    assert (score["version"], score["up"], score["down"], score["share"], score["low"]) == (0, 0, 1, 0.0, 0.0)
    assert 0.5 < score["high"] < 1
    assert "45 crowns" in site.run("feedback", "list", "acme").out


def test_an_evaluation_set_is_added_listed_and_shown(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "prices.jsonl"
    file.write_text(LINES)
    added = site.json("evaluation", "add", "acme", "prices", str(file))
    assert (added["revision"], added["already_known"], len(added["items"])) == (1, False, 2)
    assert site.json("evaluation", "add", "acme", "prices", str(file))["already_known"] is True
    (listed,) = site.json("evaluation", "list", "acme")["evaluation_sets"]
    assert (listed["name"], listed["revision"], listed["items"]) == ("prices", 1, 2)
    assert "What code?" in site.run("evaluation", "show", "acme", "prices").out
    assert site.run("evaluation", "show", "acme", "prices", "--revision", "2").code == 3


def test_a_file_that_is_no_set_is_refused_with_the_line(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "wrong.jsonl"
    for wrong in ('{"question": "q"}', "not json", '{"question": "q", "answer": 5}',
                  '{"question": "q", "answer": "a", "matcher": "best"}'):  # fmt: skip
        file.write_text(f'{{"question": "How many?", "answer": "45"}}\n{wrong}\n')
        ran = site.run("evaluation", "add", "acme", "prices", str(file))
        assert ran.code == 2
        assert "wrong.jsonl:2" in ran.err.replace("\n", "")
    assert site.json("evaluation", "list", "acme")["evaluation_sets"] == []
