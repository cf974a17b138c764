"""The command line itself: help, options, exit codes, speed."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from sealserve import errors
from sealserve.cli.app import app
from sealserve.cli.session import exit_code
from tests.cli.site import run


def _commands(group: TyperGroup, path: str = "sealserve") -> Iterator[tuple[str, TyperCommand]]:
    for name, one in group.commands.items():
        if isinstance(one, TyperGroup):
            yield from _commands(one, f"{path} {name}")
        elif isinstance(one, TyperCommand):
            yield f"{path} {name}", one


def _all_commands() -> list[tuple[str, TyperCommand]]:
    top = typer.main.get_command(app)
    assert isinstance(top, TyperGroup)
    return list(_commands(top))


def test_every_command_explains_itself_and_speaks_json() -> None:
    assert len(_all_commands()) >= 25
    for path, one in _all_commands():
        options = {name for param in one.params if isinstance(param, TyperOption) for name in param.opts}
        assert {"--json", "--config", "--address"} <= options, path
        assert one.help, path
        silent = [param.name for param in one.params if not getattr(param, "help", None)]
        assert silent == [], path


def test_help_lists_the_exit_codes_and_comes_at_once() -> None:
    before = os.times()
    done = subprocess.run([sys.executable, "-m", "sealserve", "--help"], capture_output=True, text=True, check=True)
    after = os.times()
    assert after.children_user - before.children_user < 5  # 0.5 s where nothing else runs
    assert "Exit codes" in done.stdout
    heavy = "{'grpc', 'sqlalchemy', 'opentelemetry', 'torch', 'numpy', 'pydantic'}"
    loaded = f"import sys, sealserve.cli.app; print({heavy} & set(sys.modules) or 'none')"
    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "none"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NotFound("x", kind="tenant"), 3), (errors.InvalidArgument("x", field="y"), 2),
        (errors.QuotaExceeded("x", retry_seconds=1), 2), (errors.Conflict("x"), 2), (errors.BadConfig("x"), 2),
        (errors.Unavailable("x"), 4), (errors.DeadlineExceeded("x"), 4), (errors.StorageFailed("x"), 1),
        (errors.EngineFailed("x"), 1), (errors.CouldNotMeasure("x"), 1), (errors.CorruptArtifact("x"), 1),
    ],
)  # fmt: skip
def test_the_exit_code_says_whose_fault_it_is(error: errors.SealserveError, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize("before", [True, False])
def test_a_server_that_is_down_ends_with_four_and_says_what_to_do(before: bool) -> None:
    where = ("--address", "127.0.0.1:1")
    line = (*where, "tenant", "list") if before else ("tenant", "list", *where)
    ran = run(*line, "--json")
    assert (ran.code, ran.shown["error"]["reason"]) == (4, "UNAVAILABLE")
    assert "127.0.0.1:1" in ran.err
    assert "sealserve serve" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("before", [True, False])
def test_a_settings_file_with_an_unknown_key_ends_with_two_and_names_it(tmp_path: Path, before: bool) -> None:
    path = tmp_path / "sealserve.toml"
    path.write_text("[serve]\nadress = 'x'\n")
    where = ("--config", str(path))
    ran = run(*((*where, "tenant", "list") if before else ("tenant", "list", *where)), "--json")
    assert (ran.code, ran.shown["error"]["reason"]) == (2, "BAD_CONFIG")
    assert "serve.adress" in ran.shown["error"]["message"]


def test_an_unknown_command_or_option_ends_with_two() -> None:
    assert run("tenants").code == 2
    assert run("tenant", "list", "--colour").code == 2


@pytest.mark.slow
def test_a_port_in_use_ends_serve_with_two_before_any_model_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = ["serve", "--address", address, "--data-directory", str(tmp_path), "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "sealserve", *line], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 2, done.stderr
    assert address in json.loads(done.stdout.splitlines()[-1])["error"]["message"]
    assert "Traceback" not in done.stderr


def test_what_runs_gets_the_settings_of_file_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, Any, dict[str, Any]]] = []
    for module, name in (("supervisor", "run_up"), ("serve", "run_serve"), ("learn", "run_learn"), ("web", "run_web")):
        target = f"sealserve.daemon.{module}.{name}"
        monkeypatch.setattr(target, lambda settings, name=name, **more: seen.append((name, settings, more)))
    path = tmp_path / "sealserve.toml"
    path.write_text("[serve]\nreplica = 'west'\n")
    common = ("--config", str(path), "--address", "127.0.0.1:1", "--data-directory", str(tmp_path), "--json")
    assert run("up", "--model", "some/model", *common).shown["ended"] == "up"
    assert run("serve", "--engine-only", *common).shown["ended"] == "serve"
    assert run("learn", *common).shown["ended"] == "learn"
    assert run("web", *common).shown["ended"] == "web"
    assert [(name, more) for name, _, more in seen] == [
        ("run_up", {}), ("run_serve", {"engine_only": True}), ("run_learn", {}), ("run_web", {}),
    ]  # fmt: skip
    for _, settings, _ in seen:
        assert (settings.serve.replica, settings.serve.address, settings.data_directory) == (
            "west", "127.0.0.1:1", tmp_path,
        )  # fmt: skip
    assert [settings.engine.model for _, settings, _ in seen] == ["some/model", "nano", "nano", "nano"]


def test_version_names_what_it_stands_on() -> None:
    shown = run("version", "--json").shown
    assert {"python", "sealserve", "grpcio", "sqlalchemy"} <= set(shown)
