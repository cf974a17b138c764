"""`doctor`: each finding, and what to do about it."""

import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sealserve.base_models.fitness import save_fitness
from sealserve.base_models.judge_calibration import JudgeCalibration, save_judge
from sealserve.doctor import documents
from sealserve.doctor.examination import examine
from sealserve.doctor.finding import Finding, State
from sealserve.engine.base_model import base_shape
from sealserve.engine.memory_plan import Machine
from sealserve.local_tokens import ADMIN_FILE
from sealserve.processes import niceness
from sealserve.registry.registry import Registry
from sealserve.settings.settings import Settings, load_settings
from tests.base_models.test_fitness import FIT
from tests.cli.site import Site, run
from tests.rpc.harness import ADMIN_SECRET
from tests.rpc.test_tls import certificate


def _finding(name: str, settings: Settings) -> Finding:
    (found,) = [finding for finding in examine(settings) if finding.name == name]
    return found


def _settings(directory: Path, **overrides: object) -> Settings:
    return load_settings(
        overrides={"data_directory": directory, "serve.address": "127.0.0.1:1"}
        | {key.replace("__", "."): value for key, value in overrides.items()}
    )


def test_every_finding_that_is_not_well_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    settings = _settings(
        tmp_path, engine__model=str(tmp_path), policy__thresholds=tmp_path / "file",
        intake__watch_directory=tmp_path / "no", registry__url=f"sqlite:///{tmp_path / 'file' / 'registry.db'}",
    )  # fmt: skip
    findings = {finding.name: finding for finding in examine(settings)}
    for name in ("model", "policy", "watched directory", "registry"):
        assert findings[name].state is State.FAILS, name
        assert findings[name].advice, name
    for name in ("python", "data directory"):
        assert findings[name].state is State.OK, name
        assert findings[name].advice == "", name


@pytest.mark.parametrize(
    ("is_grouped", "is_writable", "state", "words"),
    [
        (False, False, State.OK, "counts beside every process"),
        (True, True, State.OK, "learn lowers that of its own"),
        (True, False, State.WARNS, "cannot be written"),
    ],
)
def test_training_that_may_not_yield_to_serving_is_warned_of(
    is_grouped: bool, is_writable: bool, state: State, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(niceness, "is_grouped_by_session", lambda: is_grouped)
    monkeypatch.setattr(os, "access", lambda path, mode: is_writable)
    found = _finding("niceness", _settings(tmp_path))
    assert found.state is state
    assert words in found.found
    assert ("sealserve up" in found.advice) == (state is State.WARNS)


def test_a_folder_of_sources_that_is_not_there_is_warned_of(tmp_path: Path) -> None:
    settings = _settings(tmp_path, sources__local_directory=tmp_path / "nowhere")
    assert _finding("sources", settings).state is State.WARNS
    (tmp_path / "nowhere").mkdir()
    assert _finding("sources", settings).state is State.OK


def test_what_cannot_be_read_in_the_watched_directory_is_a_warning_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = tmp_path / "in"
    for name in ("acme/a.md", "acme/locked.md", "lost+found/b.md"):
        (watched / name).parent.mkdir(parents=True, exist_ok=True)
        (watched / name).write_text("words")
    settings = _settings(tmp_path, intake__watch_directory=watched)
    assert _finding("watched directory", settings).state is State.OK
    scandir, access = os.scandir, os.access  # modes do not stop root, as which tests may run

    def refuse(path: Path) -> Any:
        if path.name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: access(path, mode) and "locked" not in str(path))
    found = _finding("watched directory", settings)
    assert (found.state, "2 not readable" in found.found) == (State.WARNS, True)
    assert str(watched / "lost+found") in found.advice
    assert str(watched / "acme" / "locked.md") in found.advice


def test_few_change_events_are_a_warning_where_a_directory_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_INOTIFY", tmp_path)
    settings = _settings(tmp_path, intake__watch_directory=tmp_path)
    assert _finding("watched directory", settings).state is State.OK  # no Linux
    (tmp_path / "max_user_instances").write_text("128\n")
    (tmp_path / "max_user_watches").write_text("64\n")
    found = _finding("watched directory", settings)
    assert (found.state, "max_user_watches 64" in found.found) == (State.WARNS, True)
    assert "sysctl" in found.advice


def test_a_model_that_is_not_here_is_a_warning_and_is_not_fetched(tmp_path: Path) -> None:
    found = _finding("model", _settings(tmp_path, engine__model="some/model"))
    assert found.state is State.WARNS
    assert "first start" in found.advice


def test_the_training_executor_is_named_and_a_cluster_that_is_away_is_a_warning(tmp_path: Path) -> None:
    assert "child processes" in _finding("training executor", _settings(tmp_path)).found
    away = _finding("training executor", _settings(tmp_path, learn__executor="ray", learn__ray_address="127.0.0.1:1"))
    assert (away.state, "ray start" in away.advice) == (State.WARNS, True)
    joined = _finding("training executor", _settings(tmp_path, learn__executor="ray"))
    assert (joined.state, "cluster auto" in joined.found) == (State.OK, True)


def test_the_memory_of_engine_and_trainer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _finding("memory", _settings(tmp_path))
    assert found.found.startswith("engine ")
    assert "+ trainer " in found.found
    monkeypatch.setattr("sealserve.engine.memory_plan.this_machine", lambda: Machine(ram_bytes=2**30, cores=2))
    refused = _finding("memory", _settings(tmp_path))
    assert (refused.state, "> 1.0 GiB of memory" in refused.advice) == (State.FAILS, True)
    assert _finding("memory", _settings(tmp_path, engine__model="some/model")).state is State.OK


def test_the_last_check_of_the_base_model_is_shown(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = _settings(tmp_path, engine__model=str(tiny_base))
    unchecked = _finding("fitness to learn", settings)
    assert (unchecked.state, unchecked.advice) == (State.WARNS, "run: sealserve model check")
    digest = base_shape(tiny_base).digest
    save_fitness(replace(FIT, digest=digest))
    assert _finding("fitness to learn", settings).state is State.OK
    save_fitness(replace(FIT, digest=digest, open_book=0.1))
    unfit = _finding("fitness to learn", settings)
    assert (unfit.state, "choose another engine.model" in unfit.advice) == (State.WARNS, True)
    allowed = _settings(tmp_path, engine__model=str(tiny_base), learn__allow_unfit_base=True)
    assert _finding("fitness to learn", allowed).state is State.OK
    assert "embedded" in _finding("fitness to learn", _settings(tmp_path)).found


def test_whether_the_base_model_may_hold_documents_is_told_by_name(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = _settings(tmp_path, engine__model=str(tiny_base))
    assert "not calibrated yet" in _finding("judge of passages", settings).found
    digest = base_shape(tiny_base).digest
    able = JudgeCalibration(asked="", threshold=0.5, balanced_accuracy=0.96, false_alarms=0)
    save_judge(able, digest)
    assert _finding("judge of passages", settings).found.startswith("on: balanced accuracy 0.96")
    save_judge(replace(able, balanced_accuracy=0.55), digest)
    blind = _finding("judge of passages", settings)
    assert blind.state is State.OK
    assert blind.found.startswith("off: this base cannot tell orders from articles: 0.55")
    unwanted = _settings(tmp_path, engine__model=str(tiny_base), learn__study__judge=False)
    assert _finding("judge of passages", unwanted).found == "off (learn.study.judge)"


def test_a_registry_that_is_not_made_yet_is_left_unmade(tmp_path: Path) -> None:
    assert _finding("registry", _settings(tmp_path)).state is State.OK
    assert list(tmp_path.iterdir()) == []


def test_a_port_taken_by_something_else_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealserve.doctor.connections._PROBE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = _finding("server", _settings(tmp_path, serve__address=f"127.0.0.1:{taken.getsockname()[1]}"))
    assert (found.state, bool(found.advice)) == (State.FAILS, True)


def test_a_running_server_is_recognised(site: Site, tmp_path: Path) -> None:
    settings = _settings(tmp_path / "other", serve__address=site.address)
    stranger = _finding("server", settings)
    assert (stranger.state, bool(stranger.advice)) == (State.WARNS, True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ADMIN_FILE).write_text(ADMIN_SECRET)
    found = _finding("server", settings)
    assert found.state is State.OK
    assert "serving" in found.found


def test_a_registry_in_use_is_verified(site: Site) -> None:
    site.world.document()
    found = _finding("registry", _settings(site.world.directory))
    assert found.state is State.OK
    assert "chain intact" in found.found


def test_certificates_that_end_soon_or_do_not_go_together_are_told(tmp_path: Path) -> None:
    def found(pair: tuple[Path, Path]) -> Finding:
        serve = {"serve__tls_certificate": pair[0], "serve__tls_key": pair[1]}
        return _finding("certificates", _settings(tmp_path, **serve))

    long, short = certificate(tmp_path / "long", days=90.5), certificate(tmp_path / "short", days=20.5)
    assert (found(long).state, found(long).found) == (State.OK, "serve: 90 days left")
    assert (found(short).state, found(short).found) == (State.WARNS, "serve: 20 days left")
    assert "without a restart" in found(short).advice
    ended = found(certificate(tmp_path / "ended", days=-1))
    assert (ended.state, ended.found) == (State.WARNS, "serve: expired")
    mismatched = found((long[0], short[1]))
    assert (mismatched.state, "no pair" in mismatched.found) == (State.FAILS, True)
    page = _settings(tmp_path, web__tls_certificate=short[0], web__tls_key=short[1])
    assert _finding("certificates", page).found == "web: 20 days left"
    assert _finding("certificates", _settings(tmp_path)).state is State.OK


def test_proxy_that_catches_this_machines_own_calls_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("grpc_proxy", "https_proxy", "http_proxy", "all_proxy", "no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert _finding("proxy", _settings(tmp_path)).state is State.OK
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    caught = _finding("proxy", _settings(tmp_path))
    assert (caught.state, caught.found) == (State.WARNS, "https_proxy also for 127.0.0.1")
    monkeypatch.setenv("no_proxy", "localhost, 127.0.0.1")
    assert _finding("proxy", _settings(tmp_path)).state is State.OK


def test_receiver_of_telemetry_that_is_not_there_is_a_warning(tmp_path: Path) -> None:
    for endpoint in ("http://127.0.0.1:1", "https://nowhere.invalid:4317"):
        away = _finding("telemetry", _settings(tmp_path, telemetry__otlp_endpoint=endpoint))
        assert (away.state, away.found) == (State.WARNS, f"nothing listens at {endpoint}")
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        endpoint = f"http://127.0.0.1:{receiver.getsockname()[1]}"
        assert _finding("telemetry", _settings(tmp_path, telemetry__otlp_endpoint=endpoint)).state is State.OK


def test_clock_of_the_database_that_differs_is_a_warning(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for ahead, words in ((31.0, "31 s ahead of"), (-3600.0, "3600 s behind")):
        monkeypatch.setattr(Registry, "seconds_ahead", lambda self, ahead=ahead: ahead)
        found = _finding("registry", _settings(site.world.directory))
        assert (found.state, words in found.found, "NTP" in found.advice) == (State.WARNS, True, True)


def test_the_command_shows_all_findings_and_fails_with_one(tmp_path: Path) -> None:
    config = tmp_path / "sealserve.toml"
    config.write_text(
        f"data_directory = '{tmp_path}'\n[engine]\nmodel = '{tmp_path}'\n[serve]\naddress = '127.0.0.1:1'\n"
    )
    ran = run("doctor", "--config", str(config), "--json")
    assert (ran.code, ran.shown["healthy"]) == (1, False)
    assert {finding["state"] for finding in ran.shown["findings"]} <= {"ok", "warns", "fails"}
    assert "needs config.json" in run("doctor", "--config", str(config)).out
