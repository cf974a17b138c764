"""A request that names a version gets that one, or is told why not; it never gets another."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealserve.engine.engine import AdapterFiles
from sealserve.errors import FailedPrecondition, Unavailable
from sealserve.records.versions import AdapterVersion, Lineage, VersionState
from sealserve.serving.adapter_table import AdapterTable, Route
from sealserve.serving.version_choice import VersionChoice
from tests.fakes import FakeEngine


def version(number: int) -> AdapterVersion:
    return AdapterVersion(
        tenant="acme", version=number, artifact="a" * 64, engine_name=f"acme@v{number}", state=VersionState.READY,
        reason="", cycle="c", parent=0, documents=(), lineage=Lineage(traceparent="00-1"),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


async def choice(directory: Path, *, loaded: int) -> VersionChoice:
    engine, table = FakeEngine(), AdapterTable()
    await engine.start()
    (directory / "adapter_config.json").write_text("{}")
    await engine.load(AdapterFiles(name=f"acme@v{loaded}", path=directory))
    table.swap(Route(tenant="acme", version=2, activation=7, engine_name="acme@v2"))

    def require(tenant: str, number: int) -> AdapterVersion:
        if number == 9:
            raise FailedPrecondition("taken back", reason="VERSION_REVOKED")
        return version(number)

    return VersionChoice(engine, table, require=require)


async def test_loaded_version_is_given_with_the_activation_of_the_moment(tmp_path: Path) -> None:
    found = await (await choice(tmp_path, loaded=1)).route("acme", 1)
    assert (found.version, found.activation, found.engine_name, found.origin) == (1, 7, "acme@v1", "00-1")


async def test_base_model_is_always_there(tmp_path: Path) -> None:
    chosen = await choice(tmp_path, loaded=1)
    assert (await chosen.route("acme", 0)).engine_name is None
    assert (await chosen.route("new", 0)).activation == 0


async def test_version_that_is_not_loaded_or_may_not_answer_is_refused(tmp_path: Path) -> None:
    chosen = await choice(tmp_path, loaded=1)
    with pytest.raises(Unavailable) as away:
        await chosen.route("acme", 2)
    assert away.value.reason == "VERSION_NOT_LOADED"
    with pytest.raises(FailedPrecondition):
        await chosen.route("acme", 9)
