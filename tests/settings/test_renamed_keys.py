"""Old keys and values: each is refused by name, with the new name in the message."""

from pathlib import Path

import pytest

from sealserve.errors import BadConfig
from sealserve.settings.renamed_keys import OLD_KEYS, OLD_REWARDS
from sealserve.settings.settings import load_settings
from tests.contract.configuration_page import settings_keys

ONCE = """
data_directory
serve: address auth tls_certificate tls_key tls_authority tls_name insecure max_message_bytes max_concurrent_requests
serve: max_queued_per_tenant default_deadline_seconds drain_seconds poll_seconds rollback_window_seconds replica
serve: answer_days
engine: model dtype max_context_tokens slots loaded_adapters max_rank kv_cache_gib gpu_memory_fraction max_sequences
engine: canary_seconds canary_deadline_seconds threads
registry: url lease_seconds
intake: watch_directory max_document_bytes max_documents_per_tenant
learn: reward tenant_rewards seeds agreement_samples agreement_rounds grader_url grader_model grader_key_variable
learn: grader_timeout_seconds grader_patience_seconds engine_address gather_seconds nightly max_documents_per_cycle
learn: max_passages_per_cycle max_attempts workers concurrency edits_per_template qa_edits edit_temperature
learn: edit_max_tokens editor editor_url editor_model editor_key_variable editor_timeout_seconds
learn: editor_patience_seconds free_recipe tenant_recipes quiz_edits max_quiz_items quiz_samples candidates
learn: full_candidates targets update replay_examples rank alpha learning_rate epochs max_steps batch_size rehearsal
learn: executor ray_address trainer_processes threads devices niceness trainer_timeout_seconds policy rules
learn: editor_rounds editor_documents editor_samples editor_trial_steps editor_learning_rate editor_epochs
learn: editor_recipes
web: address tls_certificate tls_key insecure
telemetry: otlp_endpoint log_format log_level metric_interval_seconds
"""
"""Every key of the settings file before [learn] had tables."""


def _keys_once() -> list[str]:
    lines = [line.rpartition(": ") for line in ONCE.strip().splitlines()]
    return [f"{section}.{key}" if section else key for section, _, keys in lines for key in keys.split()]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for key in [key for key in os.environ if key.startswith("SEALSERVE_")]:
        monkeypatch.delenv(key)


def test_every_key_of_before_exists_or_has_a_new_name_that_exists() -> None:
    keys = {key for key, _ in settings_keys()}
    assert len(_keys_once()) == 103
    assert [key for key in _keys_once() if key not in keys and key not in OLD_KEYS] == []
    assert [key for key in OLD_KEYS if key in keys or key not in _keys_once()] == []
    assert [new for new in OLD_KEYS.values() if new not in keys] == []


@pytest.mark.parametrize(("old", "new"), OLD_KEYS.items())
def test_an_old_key_is_refused_with_its_new_name(
    old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section, key = old.split(".")
    path = tmp_path / "sealserve.toml"
    path.write_text(f"[{section}]\n{key} = 1\n", encoding="utf-8")
    with pytest.raises(BadConfig) as caught:
        load_settings(path)
    assert caught.value.message == f"{path}: {old} is now {new}"
    monkeypatch.setenv(f"SEALSERVE_{section}__{key}".upper(), "1")
    with pytest.raises(BadConfig) as caught:
        load_settings()
    assert caught.value.message == f"settings: {old} is now {new}"


@pytest.mark.parametrize("old", OLD_REWARDS)
def test_an_old_reward_is_refused_with_its_new_name(old: str) -> None:
    with pytest.raises(BadConfig, match=f"learn.reward.kind: {old} is now {OLD_REWARDS[old]}"):
        load_settings(overrides={"learn.reward.kind": old})
