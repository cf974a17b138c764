"""What a killed process was doing: one whole story of one tenant, safe to start again from its beginning."""

from pathlib import Path

from sealserve.records.cycles import CycleState, Step
from sealserve.records.documents import DocumentState, NewDocument
from sealserve.records.rollouts import Trigger, WatchState
from sealserve.records.versions import Lineage
from sealserve.registry.registry import Finish, Publish, Registry

UNWANTED = "An article that is forgotten again."


def main(directory: Path, url: str) -> None:
    """Add a document, publish a held version of it, approve that, leave it and come back; add another and forget it.

    Then watch the version until it has full traffic and its watch has passed; leave it, come back, and be taken back by
    the watch. Each part is skipped if it is done already.
    """
    registry = Registry.open(url, directory / "artifacts")
    registry.tenants.create("acme", actor="ann", request_id="tenant")
    document, _ = registry.documents.add(
        "acme",
        NewDocument(title="t", text="An article.", source="rpc", media_type="text/plain"),
        actor="ann",
        readmit=False,
    )
    print(document.document, flush=True)
    registry.cycles.start("acme", trigger="rpc", actor="ann", request_id="cycle")
    claim = registry.cycles.claim(worker="w1", lease_seconds=0.000001)
    if claim is not None:
        trained = directory / "trained"
        trained.mkdir(exist_ok=True)
        (trained / "adapter_config.json").write_text("{}")
        publish = Publish(
            artifact=registry.artifacts.put_directory(trained), parent=0, documents=(document.document,),
            lineage=Lineage(), promote=False, expected_etag="",
        )  # fmt: skip
        ending = Finish(state=CycleState.HELD, reason="", documents=DocumentState.SET_ASIDE)
        registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=1, effects=[publish, ending])
    registry.approvals.approve("acme", 1, actor="bea", reason="good", request_id="approve")
    registry.versions.rollback("acme", expected_etag=None, actor="ann", reason="bad", request_id="rollback")
    registry.versions.promote("acme", 1, expected_etag=None, actor="ann", reason="good", request_id="promote")
    unwanted, _ = registry.documents.add(
        "acme", NewDocument(title="u", text=UNWANTED, source="rpc", media_type="text/plain"), actor="ann", readmit=False
    )
    registry.unlearning.unlearn("acme", unwanted.document, actor="ann", reason="", request_id="forget")
    _pass_a_watch(registry)
    registry.versions.rollback("acme", expected_etag=None, actor="ann", reason="bad", request_id="rollback again")
    registry.versions.promote("acme", 1, expected_etag=None, actor="ann", reason="good", request_id="promote again")
    _fail_a_watch(registry)
    registry.close()


def _pass_a_watch(registry: Registry) -> None:
    """A promotion that was watched to its end is watched no more, so whoever comes late finds none."""
    if len(registry.rollouts.page("acme").items) > 1:
        return
    registry.rollouts.open("acme", share=0.5)
    for watch in registry.rollouts.open_watches():
        if watch.stage == 0:
            registry.rollouts.move_stage(watch, 1, share=0.0)
        registry.rollouts.end(watch, WatchState.PASSED)


def _fail_a_watch(registry: Registry) -> None:
    registry.rollouts.open("acme", share=0.5)
    for watch in registry.rollouts.open_watches():
        registry.rollouts.roll_back(watch, trigger=Trigger.QUALITY, reason="7 of 7", decided_at=watch.opened_at)
