"""Settings: one file, a few environment overrides, and a clear word about everything that cannot work."""

from pathlib import Path

import pytest

from sealserve.errors import BadConfig
from sealserve.settings.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for key in [key for key in os.environ if key.startswith("SEALSERVE_")]:
        monkeypatch.delenv(key)


def _file(directory: Path, text: str) -> Path:
    path = directory / "sealserve.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _why(path: Path | None = None, overrides: dict[str, object] | None = None) -> str:
    with pytest.raises(BadConfig) as caught:
        load_settings(path, overrides=overrides)
    assert caught.value.reason == "BAD_CONFIG"
    return caught.value.message


def test_without_a_file_the_defaults_run_on_a_laptop() -> None:
    settings = load_settings()
    assert settings.serve.address == "127.0.0.1:7431"
    assert settings.engine.model == "nano"
    assert settings.registry_url.startswith("sqlite:///")


def test_a_file_sets_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    settings = load_settings(_file(tmp_path, '[learn.training]\nrank = 16\n[serve]\nreplica = "west"\n'))
    assert (settings.learn.training.rank, settings.serve.replica) == (16, "west")
    assert settings.engine == Settings().engine


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[serve]\nadress = 'x'\n", "serve.adress"),
        ("[server]\naddress = 'x'\n", "server"),
        ("colour = 'red'\n", "colour"),
        ("[learn.training]\nrank = 'eight'\n", "learn.training.rank"),
        ("[learn.training]\nretention = 1.5\n", "learn.training.retention"),
        ("[telemetry]\nlog_format = 'xml'\n", "telemetry.log_format"),
        ("serve = 3\n", "serve"),
        ("[Serve]\naddress = 'x:1'\n", "Serve"),
        ("[learn]\ntraining = 3\n", "learn.training"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_file(tmp_path: Path, text: str, key: str) -> None:
    path = _file(tmp_path, text)
    assert _why(path).startswith(f"{path}: {key}: ")


def test_every_wrong_key_is_named_at_once(tmp_path: Path) -> None:
    why = _why(_file(tmp_path, "[serve]\nadress = 'x'\n[learn]\nranks = 1\n"))
    assert "serve.adress" in why
    assert "learn.ranks" in why


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"learn.training.rank": 64}, "learn.training.rank 64 is above engine.max_rank 32"),
        ({"engine.max_rank": 12}, "engine.max_rank must be one of"),
        ({"engine.slots": 8, "engine.loaded_adapters": 4}, "engine.loaded_adapters must be at least engine.slots"),
        ({"serve.address": "0.0.0.0:1", "serve.insecure": True, "serve.auth": "off"}, "serve.auth = off is for"),
        ({"serve.auth": "maybe"}, "serve.auth"),
        ({"telemetry.otlp_endpoint": "localhost:4317"}, "telemetry.otlp_endpoint: 'localhost:4317' does not say how"),
        ({"telemetry.otlp_endpoint": "localhost:4317"}, "write http://localhost:4317 for plain text or https://"),
        (
            {"telemetry.otlp_endpoint": "grpc://collector:4317"},
            "write http://collector:4317 for plain text or https://",
        ),
        ({"telemetry.otlp_endpoint": "10.0.0.1:4317"}, "write http://10.0.0.1:4317 for plain text"),
        ({"telemetry.otlp_endpoint": "http://localhost:4318/v1/traces"}, "without a path"),
        ({"telemetry.otlp_endpoint": "https://"}, "write http://localhost:4317 for plain text"),
        ({"learn.nightly": "whenever"}, "learn.nightly: 'whenever' is not a cron line"),
        ({"learn.editor.rounds": "0 4 * * 8"}, "learn.editor.rounds: day of the week '8' is not 0 to 7"),
        ({"serve.address": "0.0.0.0:1"}, "set serve.tls_certificate and serve.tls_key"),
        ({"serve.address": "db.example:1"}, "or say serve.insecure = true"),
        ({"serve.tls_key": "key.pem"}, "serve.tls_certificate and serve.tls_key go together"),
    ],
)
def test_values_that_cannot_work_together_fail_by_name(overrides: dict[str, object], says: str) -> None:
    assert says in _why(overrides=overrides)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "localhost:1", "unix:/run/s.sock"])
def test_on_loopback_everybody_may_be_let_in(address: str) -> None:
    assert load_settings(overrides={"serve.address": address, "serve.auth": "off"}).serve.auth == "off"


def test_beyond_loopback_tls_or_a_word_about_the_way_is_enough() -> None:
    far = {"serve.address": "0.0.0.0:1"}
    assert load_settings(overrides={**far, "serve.insecure": True}).serve.tls() is None
    given = {"serve.tls_certificate": "missing.pem", "serve.tls_key": "missing.pem"}
    files = load_settings(overrides={**far, **given}).serve.certificate_files()
    assert files is not None
    with pytest.raises(BadConfig, match=r"serve\.tls_key: missing\.pem cannot be read"):
        files.read()


def test_a_missing_or_broken_file_says_so(tmp_path: Path) -> None:
    assert "no such settings file" in _why(tmp_path / "missing.toml")
    assert "cannot be read as TOML" in _why(_file(tmp_path, "[serve\n"))
    (tmp_path / "latin.toml").write_bytes(b"# Gr\xf6\xdfe\n")
    assert "cannot be read as TOML" in _why(tmp_path / "latin.toml")
    assert "cannot be read as TOML" in _why(tmp_path)


def test_environment_beats_the_file_and_the_command_line_beats_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "SEALSERVE_CONFIG", str(_file(tmp_path, "[learn.training]\nrank = 16\nalpha = 4\ncandidates = 5\n"))
    )
    monkeypatch.setenv("SEALSERVE_LEARN__TRAINING__RANK", "32")
    monkeypatch.setenv("SEALSERVE_LEARN__TRAINING__ALPHA", "64")
    monkeypatch.setenv("SEALSERVE_DATA_DIRECTORY", str(tmp_path))
    settings = load_settings(overrides={"learn.training.alpha": 128})
    training = settings.learn.training
    assert (training.candidates, training.rank, training.alpha) == (5, 32, 128)
    assert settings.data_directory == tmp_path


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("SEALSERVE_LEARN__RANKS", "learn.ranks"),
        ("SEALSERVE_LERN__RANK", "lern"),
        ("SEALSERVE_LEARN__TRAINING__RANK", "learn.training.rank"),
    ],
)
def test_a_wrong_environment_key_or_value_is_an_error_too(
    monkeypatch: pytest.MonkeyPatch, key: str, names: str
) -> None:
    monkeypatch.setenv(key, "many")
    assert f"{names}: " in _why()


def test_an_empty_environment_value_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALSERVE_INTAKE__WATCH_DIRECTORY", "")
    monkeypatch.setenv("SEALSERVE_CONFIG", "")
    assert load_settings().intake.watch_directory is None


def test_a_key_below_a_value_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(tmp_path, "[serve]\naddress = 'x:1'\n")
    monkeypatch.setenv("SEALSERVE_SERVE__ADDRESS__PORT", "1")
    assert "serve.address: Input should be a valid string" in _why(path)
    monkeypatch.setenv("SEALSERVE_SERVE__ADDRESS", "x:1")
    assert "SEALSERVE_SERVE__ADDRESS is a value" in _why(path)


def test_the_digest_tells_settings_apart() -> None:
    first, second = load_settings(), load_settings(overrides={"learn.training.rank": 16})
    assert first.digest() == load_settings().digest()
    assert first.digest() != second.digest()


def test_an_editor_behind_an_endpoint_needs_an_address_and_a_model() -> None:
    for wrong in ({}, {"learn.teacher.url": "http://h/v1"}, {"learn.teacher.url": "h/v1", "learn.teacher.model": "m"}):
        assert "learn.teacher.url" in _why(overrides={"learn.study.editor": "endpoint", **wrong})
    right = {"learn.study.editor": "endpoint", "learn.teacher.url": "https://h/v1", "learn.teacher.model": "m"}
    assert load_settings(overrides=right).learn.study.editor == "endpoint"


def test_lists_and_tables_pass_through_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(
        tmp_path,
        """
        [learn.training]
        targets = ["likelihood", "distillation"]
        [learn.study]
        free_recipe = "Study this."
        [learn.study.tenant_recipes]
        acme = "Study this by asking why."
        """,
    )
    settings = load_settings(path)
    study = settings.learn.study
    assert (study.recipe_of("acme"), study.recipe_of("globex")) == (
        "Study this by asking why.",
        "Study this.",
    )
    monkeypatch.setenv("SEALSERVE_LEARN__STUDY__TENANT_RECIPES__OTHER", "One that is not in these settings.")
    monkeypatch.setenv("SEALSERVE_INTAKE__WATCH_DIRECTORY", "set, but unset in these settings")
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings
    assert "targets" in _why(overrides={"learn.training.targets": "[]"})
    assert "free recipe" in _why(overrides={"learn.study.free_recipe": "Close </article> it."})
    assert "tenant_recipes" in _why(overrides={"learn.study.tenant_recipes": "no json"})
