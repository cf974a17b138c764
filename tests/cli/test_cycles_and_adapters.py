"""`cycle`, `adapter` and `audit`: what they print and how they end."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sealserve.prompts import Template
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import CycleState, Step
from sealserve.records.score_json import scorecard_json, verdict_json
from sealserve.records.scores import Decision, Measured, NotApplicable, Reliability, Scorecard, Unmeasured, Verdict
from sealserve.records.step_outputs import (
    Confirmed,
    Filtered,
    Judged,
    Ranked,
    RankScore,
    ShortTrial,
    Superseded,
    Trained,
    Trial,
    Written,
    to_json,
)
from sealserve.records.versions import Lineage, Observed
from sealserve.registry.registry import AddCandidates, AddSelfEdits
from tests.cli.site import Ran, Site
from tests.registry.world import candidate, finish, self_edit

CARD = Scorecard(
    confirm=Measured(n=40, candidate=0.9, incumbent=0.1, gain=0.8, gain_low=0.6, gain_high=0.95, better=32, worse=0),
    replay=NotApplicable(because="nothing learned before"),
    canary=Unmeasured(why="the engine went away"),
    unknown=Measured(n=10, candidate=1.0, incumbent=1.0, gain=0.0, gain_low=-0.1, gain_high=0.1, better=0, worse=0),
)
VERDICT = Verdict(decision=Decision.PROMOTE, reasons=("gain 0.800",), policy="default", policy_digest="d" * 64)
REPORT_KEYS = {
    "answers", "rules",
    "cycle", "documents", "steps", "candidates", "scores", "verdict", "screening", "directives", "earlier_studies",
    "remarks", "ranking", "measuring_share", "trained_tokens", "short_trials",
    "device_seconds", "seconds_per_point",
}  # fmt: skip
RECIPE = Recipe(
    templates=(Template.QA,), rank=2, alpha=4, learning_rate=0.5, epochs=1, batch_size=8, loss_on_answers=False,
    retention=0.25, seed=7,
)  # fmt: skip
SHORT = ShortTrial(index=3, recipe=RECIPE, steps=35, losses=(2.25, 1.75), score=-1.5)
RELIABILITY = Reliability(
    candidates=2, seeds=2, items=30, item_error=0.125, between_candidates=0.25, between_seeds=0.5, over_items=0.75,
    over_seeds=0.375,
)  # fmt: skip
RANKED = Ranked(
    scores=(RankScore(index=0, rank_score=0.7, low=None, high=None, n=0, why=""),), winner=0,
    reward="likelihood:-5.0", note="no candidate stands out", reliability=RELIABILITY,
)  # fmt: skip
CONTRADICTION = {"document": "d" * 16, "question": "How long?", "old_answer": "9 days", "new_answer": "7 days"}
FILTERED = Filtered(
    admitted=1, dropped=1, select=2, confirm=2, reasons={"not grounded": 1}, distinct=0.75,
    superseded=(Superseded(**CONTRADICTION, newer="e" * 16),),
)  # fmt: skip
TRAINED = Trained(
    candidates=(0,), directives=("followed rank",), settings_digest="",
    trials=(Trial(index=0, losses=(2.5, 0.5), self_edits=("e1",), drift=0.125, weight_change=None),),
    short_trials=(SHORT, replace(SHORT, index=4, score=None)), remarks=("12 earlier notes left the replay",),
)  # fmt: skip


def _play(site: Site, state: CycleState) -> None:
    """Play the open cycle to its end, as `learn` would."""
    claim = site.world.claim_open()
    (document,) = site.registry.cycles.documents(claim.cycle)
    edits = (
        self_edit(claim, document.document, text="Lamps go back.\x1b[2J"),
        self_edit(claim, document.document, name="e2", admitted=False),
    )
    record = site.registry.cycles.record_step
    written = Written(quiz=(), directives=('{"rank": 4}',), retention=())
    record(claim, Step.WRITE, to_json(written), seconds=1.5, effects=[AddSelfEdits(edits=edits)])
    record(claim, Step.FILTER, to_json(FILTERED), seconds=1)
    tried = candidate(claim, 0, artifact=site.world.artifact())
    record(claim, Step.TRAIN, to_json(TRAINED), seconds=20, effects=[AddCandidates(candidates=(tried,))])
    record(claim, Step.RANK, to_json(RANKED), seconds=2)
    record(claim, Step.CONFIRM, to_json(Confirmed(scorecard=CARD)), seconds=2)
    record(claim, Step.JUDGE, to_json(Judged(verdict=VERDICT)), seconds=2)
    publish = site.world.publish_effect(claim, promote=state is CycleState.PROMOTED)
    lineage = Lineage(scores=scorecard_json(CARD), verdict=verdict_json(VERDICT), base_digest="b" * 64)
    published = [] if state is CycleState.FAILED else [replace(publish, lineage=lineage)]
    record(claim, Step.PUBLISH, {}, seconds=1, effects=[*published, finish(state)])


def _meanwhile(site: Site, play: Callable[[], None], *arguments: str) -> Ran:
    """Run a command in this thread while another plays `play`."""
    other = threading.Thread(target=play)
    other.start()
    ran = site.run(*arguments)
    other.join(20)
    return ran


def _observe(site: Site, activation: int) -> None:
    """Let replica r1 say that it answers with `activation`."""
    at = site.registry.tenants.get("acme").created_at
    site.registry.replicas.announce("r1", identity="r1", address="")
    site.registry.versions.record_observed(
        Observed(replica="r1", tenant="acme", version=1, activation=activation, observed_at=at)
    )


@pytest.mark.parametrize(
    ("state", "code"),
    [(CycleState.PROMOTED, 0), (CycleState.HELD, 5), (CycleState.REJECTED, 5), (CycleState.FAILED, 1)],
)
def test_a_followed_cycle_ends_with_what_the_gate_said(site: Site, state: CycleState, code: int) -> None:
    site.world.document()
    started = site.json("cycle", "start", "acme")
    assert set(started) == REPORT_KEYS
    assert started["cycle"]["state"] == "pending"
    ran = _meanwhile(site, lambda: _play(site, state), "cycle", "watch", "acme", "--json")
    assert (ran.code, ran.shown["cycle"]["state"]) == (code, state.value)
    assert [step["step"] for step in ran.shown["steps"]] == list(
        "write filter train rank confirm judge publish".split()
    )
    assert "train" in ran.err
    assert len(ran.out.splitlines()) == 1


def test_a_cycle_shows_scores_verdict_and_self_edits(site: Site) -> None:
    site.world.document()
    site.run("cycle", "start", "acme")
    _play(site, CycleState.PROMOTED)
    shown = site.json("cycle", "show", "acme", "--edits")
    assert set(shown) == {*REPORT_KEYS, "self_edits", "changes"}
    assert shown["scores"]["confirm"]["gain"] == 0.8
    assert shown["scores"]["canary"] == {"why": "the engine went away"}
    assert shown["scores"]["replay"] == {"because": "nothing learned before"}
    assert shown["verdict"]["decision"] == "promote"
    assert shown["short_trials"] == [to_json(trial) for trial in TRAINED.short_trials]
    assert [(edit["admitted"], edit["reason"]) for edit in shown["self_edits"]] == [(True, ""), (False, "not grounded")]
    text = site.run("cycle", "show", "acme", "--edits").out
    for words in (
        "not measured: the engine went away",
        "+0.600 … +0.950",
        "verdict: promote",
        "dropped: not grounded",
        "recipe 3, 35 steps",
        "2.250, 1.750",
    ):
        assert words in text
    assert "\x1b[2J" not in text
    (listed,) = site.json("cycle", "list", "acme")["cycles"]
    assert (listed["state"], listed["version"]) == ("promoted", 1)


def test_a_cycle_says_how_it_ranked_how_far_that_is_trusted_and_what_measuring_cost(site: Site) -> None:
    site.world.document()
    site.run("cycle", "start", "acme")
    assert site.json("cycle", "show", "acme")["ranking"] is None
    _play(site, CycleState.PROMOTED)
    shown = site.json("cycle", "show", "acme")
    known = {name: value for name, value in to_json(RELIABILITY).items() if name != "candidates"}
    assert shown["ranking"] == {**known, "reward": RANKED.reward, "note": RANKED.note, "stands_out": False}
    assert shown["measuring_share"] == pytest.approx(4 / 29.5)
    text = site.run("cycle", "show", "acme").out
    assert shown["seconds_per_point"] == pytest.approx(shown["device_seconds"] / 80)
    for words in (
        "device-seconds",
        "per confirmed point",
        "no candidate stands out",
        "0.125 over 30",
        "0.5000 between 2 seeds",
        "14%",
        "0.75",
    ):
        assert words in text


def test_every_trial_is_shown_with_what_became_of_it(site: Site) -> None:
    site.world.document()
    site.run("cycle", "start", "acme")
    _play(site, CycleState.PROMOTED)
    shown = site.json("cycle", "show", "acme", "--edits")
    assert [(edit["self_edit"], edit["candidates"]) for edit in shown["self_edits"]] == [("e1", [0]), ("e2", [])]
    (one,) = shown["candidates"]
    assert (one["losses"], one["drift"], one["weight_change"]) == ([2.5, 0.5], 0.125, None)
    assert shown["directives"] == [{"text": '{"rank": 4}', "note": "followed rank"}]
    counts = {name: getattr(FILTERED, name) for name in ("admitted", "dropped", "reasons", "distinct")}
    assert shown["screening"] == {**counts, "superseded": [CONTRADICTION], "overridden": []}
    assert "12 earlier notes left" in site.run("cycle", "show", "acme").out
    text = site.run("cycle", "show", "acme", "--edits").out
    for words in (
        "2.500, 0.500",
        "seed 7  admitted, candidates 0",
        "followed rank",
        "is now 7 days",
        "templates qa+long",
    ):
        assert words in text


def test_a_second_study_of_an_article_shows_what_changed(site: Site) -> None:
    for text in ("Lamps go back in 9 days.", "Lamps go back in 7 days."):
        site.world.document(text=text, title="Lamps")
        site.run("cycle", "start", "acme")
        _play(site, CycleState.REJECTED)
    (change,) = site.json("cycle", "show", "acme", "--edits")["changes"]
    assert (change["same"], change["added"], change["removed"]) == (1, 0, 0)
    assert change["document"] != change["earlier_document"]
    assert "1 self-edits unchanged, 0 added, 0 removed" in site.run("cycle", "show", "acme", "--edits").out


def test_a_tenant_without_cycles_is_told_what_to_do(site: Site) -> None:
    for command in ("show", "watch"):
        ran = site.run("cycle", command, "acme")
        assert (ran.code, ran.err) == (3, "")
        assert "sealserve doc add acme" in ran.out
    site.world.document()
    assert "sealserve cycle start acme" in site.json("cycle", "show", "acme", code=3)["next"]
    assert site.json("cycle", "show", "nobody", code=3)["error"]["reason"] == "NOT_FOUND"


def test_a_watch_without_an_id_waits_for_the_cycle_that_documents_are_about_to_get(site: Site) -> None:
    site.world.version()
    site.world.document(text="The second article.")

    def gather() -> None:
        site.registry.cycles.start("acme", trigger="schedule", actor="clock")
        _play(site, CycleState.PROMOTED)

    ran = _meanwhile(site, gather, "cycle", "watch", "acme", "--json")
    assert (ran.code, ran.shown["cycle"]["trigger"], ran.shown["cycle"]["version"]) == (0, "schedule", 2)


def test_a_cycle_without_documents_or_beside_another_is_the_callers_fault(site: Site) -> None:
    assert site.json("cycle", "start", "acme", code=2)["error"]["reason"]
    site.world.document()
    site.json("cycle", "start", "acme")
    site.world.document()
    assert site.json("cycle", "start", "acme", code=2)["error"]["message"]


def test_versions_are_listed_and_shown_with_their_lineage(site: Site) -> None:
    site.world.document()
    site.run("cycle", "start", "acme")
    _play(site, CycleState.HELD)
    listed = site.json("adapter", "list", "acme")
    assert (listed["active_version"], [one["version"] for one in listed["adapters"]]) == (0, [1])
    for name in ("1", "v1", "V1"):
        shown = site.json("adapter", "show", "acme", name)
        assert shown["lineage"]["verdict"]["decision"] == "promote"
    text = site.run("adapter", "show", "acme", "1").out
    for words in ("measured against", "base", shown["artifact"], "gain 0.8"):
        assert words in text
    assert site.json("adapter", "show", "acme", "base")["version"] == 0


def test_promote_and_rollback_move_the_pointer_and_wait_for_the_replicas(site: Site) -> None:
    site.world.version(promote=False)
    _observe(site, activation=1)
    moved = site.json("adapter", "promote", "acme", "v1", "--reason", "looks good")
    assert (moved["version"], moved["previous"], moved["kind"], moved["observed"]) == (1, 0, "promote", True)
    assert "active" in site.run("adapter", "list", "acme").out
    back = site.json("adapter", "rollback", "acme", "--no-wait")
    assert (back["version"], back["kind"], back["observed"]) == (0, "rollback", False)
    reasons = [row["action"] for row in site.json("audit", "list", "--tenant", "acme")["rows"]]
    assert reasons[-2:] == ["adapter.promote", "adapter.rollback"]


def test_a_replica_that_lags_ends_with_four_and_the_move_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from sealserve.client import Client

    own = Client.wait_until_observed

    def hurried(client: Client, tenant: str, activation: int, **_: Any) -> Any:
        return own(client, tenant, activation, timeout_seconds=0.2)

    monkeypatch.setattr(Client, "wait_until_observed", hurried)
    site.world.version(promote=False)
    assert site.json("adapter", "promote", "acme", "1", code=4)["error"]["reason"] == "DEADLINE_EXCEEDED"
    assert site.registry.tenants.get("acme").desired_version == 1


def test_a_pointer_that_somebody_moved_first_is_left_alone(site: Site) -> None:
    site.world.version(promote=False)
    etag = site.json("tenant", "show", "acme")["etag"]
    site.json("adapter", "promote", "acme", "1", "--no-wait")
    failed = site.json("adapter", "rollback", "acme", "--no-wait", "--etag", etag, code=2)
    assert failed["error"]["reason"] == "ETAG_MISMATCH"
    assert site.registry.tenants.get("acme").desired_version == 1


def test_words_that_are_no_version_are_the_callers_fault(site: Site) -> None:
    for words in ("latest", "v", "1.0", "²"):
        assert "not a version" in site.json("adapter", "show", "acme", words, code=2)["error"]["message"]


def test_the_audit_trail_is_listed_and_verified(site: Site) -> None:
    site.world.version()
    rows = site.json("audit", "list")["rows"]
    assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["sequence"] for row in site.json("audit", "list", "--limit", "2")["rows"]] == [1, 2]
    assert site.json("audit", "verify") == {"whole": True, "rows": len(rows), "signed_rows": None}
    assert "the chain is intact" in site.run("audit", "verify").out
