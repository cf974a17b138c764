"""Tenants whose versions stay loaded, by settings and by policy."""

from pathlib import Path

import pytest

from sealserve.daemon.serve import _resident_tenants
from sealserve.errors import BadConfig
from sealserve.gate.thresholds import Policy, default_policy_path, load_policy
from sealserve.settings.settings import Settings, load_settings


def _policy(directory: Path, *tenants: str) -> Policy:
    path = directory / "policy.yaml"
    listed = f"tenants: [{', '.join(tenants)}]"
    path.write_text(default_policy_path().read_text().replace("tenants: []", listed))
    policy = load_policy(path)
    assert policy.residency.tenants == tenants
    return policy


def _settings(directory: Path, *tenants: str, places: int) -> Settings:
    overrides = {
        "data_directory": directory, "serve.resident_tenants": tenants, "engine.loaded_adapters": places,
        "engine.slots": 3,
    }  # fmt: skip
    return load_settings(overrides=overrides)


def test_tenants_of_settings_and_policy_stay_each_once(tmp_path: Path) -> None:
    policy, settings = _policy(tmp_path, "globex", "hooli"), _settings(tmp_path, "acme", "globex", places=6)
    assert _resident_tenants(settings, policy) == ("acme", "globex", "hooli")
    assert _resident_tenants(_settings(tmp_path, places=3), load_policy()) == ()


def test_more_tenants_than_leave_a_place_to_others_are_refused_at_the_start(tmp_path: Path) -> None:
    policy, settings = _policy(tmp_path, "globex", "hooli"), _settings(tmp_path, "acme", places=5)
    with pytest.raises(BadConfig, match=r"residency\.tenants name 3 tenants.*loaded_adapters 5 leaves 3"):
        _resident_tenants(settings, policy)
    with pytest.raises(BadConfig, match=r"serve\.resident_tenants names 3 tenants"):
        _settings(tmp_path, "acme", "globex", "hooli", places=5)
