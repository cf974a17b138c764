"""The site of the kill figure: real daemons with short cycles, what their clients were told, and how they settle.

Two tenants: one whose candidates are promoted by whatever could be measured, so that kills fall on promotions too, and
one whose rules hold every candidate for a person.
"""

import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from sealserve.client import Client
from sealserve.daemon.local import LocalDaemon
from sealserve.errors import Unavailable
from sealserve.packaged_policies import policy_directory
from sealserve.records.cycles import Cycle, CycleState
from sealserve.records.documents import DocumentState
from sealserve.records.principals import Principal, Role

TENANT, HELD_TENANT = "kills", "held"
SETTLE_SECONDS = 600.0
POLL_SECONDS = 0.5
DEATH_SECONDS = 10.0  # a call that failed is told of before the process is gone
FINAL = frozenset(CycleState) - {CycleState.PENDING, CycleState.RUNNING}
OPEN_DOCUMENTS = (DocumentState.ADMITTED, DocumentState.LEARNING)
_ANY_LOSS = {"min_items": 1, "margin": 0.99, "alpha": 0.05}
_ANY_SKILL = {**_ANY_LOSS, "min_incumbent_share": 0.0}
_LENIENT = {
    "name": "bench-kill",
    "confidence": 0.51,
    "diversity": {"min_distinct": 0.0},
    "confirm": {"min_items": 1, "min_gain_low": -1.0, "min_share": 0.0, "min_share_of_open_book": 0.0},
    "replay": _ANY_LOSS,
    **dict.fromkeys(("canary", "unknown"), _ANY_SKILL),
    "suites": {**_ANY_SKILL, "min_judge_share": 0.51},
}
_FORGIVING = {"tolerated": 0.99, "min_items": 1000, "share": 0.01}
_SHORT_WATCH = {
    "stages": [{"traffic": 0.5, "shadow": 1.0, "until_pairs": 12}, {"traffic": 1.0, "shadow": 0.0}],
    "max_seconds": 3.0,
    "feedback": {"tolerated": 0.3, "min_items": 4, "assumed": 0.3, "share": 0.9},
    "quality": _FORGIVING,
    "errors": {"assumed": 0.99, **_FORGIVING},
    "degenerate": {"assumed": 0.99, **_FORGIVING},
    "drift": {"max_drop": 50.0, **_FORGIVING},
}
_HELD_RULES = "adapter.promote: {vars: {approvals: 1}}\n"
_SETTINGS = {
    "SEALSERVE_REGISTRY__LEASE_SECONDS": "3",
    "SEALSERVE_LEARN__GATHER_SECONDS": "0.5",
    "SEALSERVE_LEARN__MAX_ATTEMPTS": "1000",
    "SEALSERVE_LEARN__MAX_DOCUMENTS_PER_CYCLE": "4",
    "SEALSERVE_LEARN__TRAINING__CANDIDATES": "1",
    "SEALSERVE_LEARN__TRAINING__REPLAY_EXAMPLES": "32",
    "SEALSERVE_LEARN__TRAINING__RETENTION": "0.1",
    "SEALSERVE_LEARN__TRAINING__LEARNING_RATE": "5e-3",
    "SEALSERVE_LEARN__TRAINING__BATCH_SIZE": "16",
    "SEALSERVE_LEARN__TRAINING__MAX_STEPS": "16",
    "SEALSERVE_LEARN__NICENESS": "0",
}
"""Cycles of seconds. Fewer steps teach nothing, and what taught nothing is never promoted, however lenient the policy:
then no kill falls on a version."""

Writer = Callable[[int], str]
"""Writes the text of the n-th document; no two are alike."""


@dataclass(slots=True)
class Site:
    """The daemons under test, and what their clients were told."""

    serve: LocalDaemon
    learn: LocalDaemon
    client: Client
    approver: Client  # another person: who hands documents in counts among no approvers
    say: Callable[[str], None]
    write: Writer
    watched_policy: str  # path of the policy under which a watch ends within seconds
    written: int = 0
    acknowledged: dict[tuple[str, str], str] = field(default_factory=dict)  # (tenant, document) to its text
    forgotten: set[tuple[str, str]] = field(default_factory=set)
    asked: list[tuple[str, int]] = field(default_factory=list)  # promotions that a client asked for
    disliked: set[int] = field(default_factory=set)  # versions that were given thumbs down
    broken: list[str] = field(default_factory=list)  # what did not hold right after a strike
    questions: int = 0
    at_points: int = 0

    def start_serve(self, **environment: str) -> None:
        """Start `serve` and wait for it."""
        self.serve.start(environment=environment)
        self.serve.wait_until_serving()

    def expect_death_at(self, point: str) -> None:
        """Count that `serve` died at its armed point; note it if it did not."""
        with suppress(Unavailable):
            self.serve.wait(timeout_seconds=DEATH_SECONDS)
        if self.serve.exit_code == -signal.SIGKILL:
            self.at_points += 1
        else:
            self.note_broken(f"{point} was not reached")

    def note_broken(self, what: str) -> None:
        """Keep, and say, what did not hold."""
        self.broken.append(what)
        self.say(f"BROKEN: {what}")

    def push(self, tenant: str = TENANT) -> None:
        """Hand a new document in; only what the server answered for counts as acknowledged. Raises: SealserveError."""
        self.written += 1
        text = self.write(self.written)
        document, _ = self.client.add_document(tenant, text, title=f"Article {self.written}")
        self.acknowledged[tenant, document.document] = self.client.document_text(tenant, document.document)

    def keep_supplied(self, backlog: int) -> None:
        """Have at least `backlog` documents wait or be learned."""
        if sum(document.state in OPEN_DOCUMENTS for document in self.client.documents(TENANT)) < backlog:
            self.push()

    def cycles(self) -> list[Cycle]:
        """Return every cycle of both tenants, newest first in each."""
        return [report.cycle for tenant in (TENANT, HELD_TENANT) for report in self.client.cycles(tenant)]

    def has_open_cycles(self) -> bool:
        """Return whether a cycle is not final."""
        return any(cycle.state not in FINAL for cycle in self.cycles())

    def settle(self) -> None:
        """Let `learn` run unharmed until every cycle is final and nothing waits, or time is up."""
        if not self.learn.is_running:
            self.learn.start()
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline and not self._is_settled():
            time.sleep(POLL_SECONDS)
        self.learn.stop()

    def progress(self) -> str:
        """Return in a line where the cycles stand."""
        cycles = self.cycles()
        states = Counter(cycle.state.value for cycle in cycles)
        step = next((f", step {cycle.step}" for cycle in cycles if cycle.state not in FINAL), "")
        return ", ".join(f"{number} {state}" for state, number in sorted(states.items())) + step

    def _is_settled(self) -> bool:
        """A document goes from waiting into a cycle and, when that comes to nothing, back: cycles are seen between."""
        return not (self._waits() or self.has_open_cycles() or self._waits())

    def _waits(self) -> bool:
        documents = (one for tenant in (TENANT, HELD_TENANT) for one in self.client.documents(tenant))
        return any(document.state is DocumentState.ADMITTED for document in documents)


def lenient_policy(*, short_watch: bool = False) -> str:
    """Return the shipped policy as YAML, with bounds that whatever could be measured passes.

    A short watch goes to full traffic after some pairs, passes seconds later, and goes back on a few thumbs down alone.
    """
    shipped = yaml.safe_load((policy_directory() / "default.yaml").read_bytes())
    watch = {"watch": {**shipped["watch"], **_SHORT_WATCH}} if short_watch else {}
    return yaml.safe_dump({**shipped, **_LENIENT, **watch}, sort_keys=False)


def open_site(directory: Path, say: Callable[[str], None], write: Writer) -> Site:
    """Return the site with `serve` running and both tenants made. Raises: Unavailable."""
    policy, watched, rules = directory / "policy.yaml", directory / "watched.yaml", directory / "policies"
    policy.write_text(lenient_policy(), encoding="utf-8")
    watched.write_text(lenient_policy(short_watch=True), encoding="utf-8")
    for folder in ("rules", "tests/rules"):
        shutil.copytree(policy_directory() / folder, rules / folder)
    (rules / "rules/tenants").mkdir(exist_ok=True)
    (rules / f"rules/tenants/{HELD_TENANT}.yaml").write_text(_HELD_RULES, encoding="utf-8")
    environment = {**_SETTINGS, "SEALSERVE_POLICY__THRESHOLDS": str(policy), "SEALSERVE_POLICY__RULES": str(rules)}
    serve = LocalDaemon(directory, command="serve", environment=environment)
    learn = LocalDaemon(directory, command="learn", address=serve.address, environment=environment)
    client = Client(serve.address, token=serve.token)
    say("starting serve")
    serve.start()
    serve.wait_until_serving()
    for tenant in (TENANT, HELD_TENANT):
        client.create_tenant(tenant)
    _, secret = client.create_token(Principal(name="approver", role=Role.APPROVER, tenants=(HELD_TENANT,)))
    approver = Client(serve.address, token=secret)
    return Site(
        serve=serve,
        learn=learn,
        client=client,
        approver=approver,
        say=say,
        write=write,
        watched_policy=str(watched),
    )
