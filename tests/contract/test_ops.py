"""Files in ops/ name only settings, paths and commands that exist."""

import configparser
import os
import re
from typing import Any

import pytest
import yaml

from sealserve.settings.settings import load_settings
from tests.contract.tree import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "ops/compose.yaml").read_text(encoding="utf-8"))


def test_compose_settings_are_read_by_sealserve(monkeypatch: pytest.MonkeyPatch) -> None:
    given = COMPOSE["services"]["sealserve"]["environment"]
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    settings = load_settings()
    assert settings.registry.url == given["SEALSERVE_REGISTRY__URL"]
    assert settings.telemetry.otlp_endpoint == given["SEALSERVE_TELEMETRY__OTLP_ENDPOINT"]


def test_compose_mounts_and_target_exist() -> None:
    service = COMPOSE["services"]["sealserve"]
    assert f"AS {service['build']['target']}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    mounts = [v.split(":")[0] for s in COMPOSE["services"].values() for v in s.get("volumes", []) if v.startswith(".")]
    assert mounts
    assert [mount for mount in mounts if not (ROOT / "ops" / mount).is_file()] == []


def test_collector_listens_where_compose_sends() -> None:
    collector = yaml.safe_load((ROOT / "ops/collector.yaml").read_text(encoding="utf-8"))
    port = collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].rsplit(":", 1)[1]
    assert COMPOSE["services"]["sealserve"]["environment"]["SEALSERVE_TELEMETRY__OTLP_ENDPOINT"].endswith(f":{port}")


def test_systemd_unit_parses_and_reads_its_settings_from_a_file() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "ops/systemd/sealserve.service", encoding="utf-8")
    assert unit["Service"]["Environment"].startswith("SEALSERVE_CONFIG=")
    assert unit["Service"]["ExecStart"].endswith("bin/sealserve up")


@pytest.mark.parametrize(
    "script", ["ops/setup", "ops/demo", "ops/test", "ops/pin", "ops/protos", "ops/clients", ".ci/run"]
)
def test_script_is_executable_strict_and_starts_in_the_root(script: str) -> None:
    text = (ROOT / script).read_text(encoding="utf-8")
    assert os.access(ROOT / script, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n# ")
    assert re.search(r"^set -\w*u", text, re.MULTILINE)
    assert re.search(r'^cd "\$\(dirname ', text, re.MULTILINE)


def test_ci_runs_the_one_command_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines == ["set -eu", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."', "exec ops/test"]


def test_every_decision_has_context_choice_and_what_would_change_it() -> None:
    records = sorted((ROOT / "ops/decisions").glob("*.md"))
    assert records
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"(?m)^## (.+)$", text) == ["Context", "Options", "Choice", "What would change it"], path.name
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name)
        assert text.startswith(f"# {path.name[:4]}: "), path.name
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
