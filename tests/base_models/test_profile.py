"""A base model's profile says how it is asked, and which settings suit it."""

import json
from pathlib import Path

import pytest

from sealserve.base_models.profile import ModelProfile, profile_of, rate_of, save_tuned
from sealserve.engine.base_model import NANO_DIRECTORY
from sealserve.errors import BadConfig, StorageFailed
from sealserve.prompts import Dialect
from sealserve.settings.learn import LearnSettings, learn_settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def model(directory: Path, **config: object) -> Path:
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def test_the_embedded_model_brings_its_own_and_changes_nothing() -> None:
    profile = profile_of(NANO_DIRECTORY, digest="any")
    assert profile.dialect is Dialect.EMBEDDED
    assert LearnSettings().with_defaults(profile.learn) == LearnSettings()


def test_any_other_model_is_asked_in_general_words_at_a_rate_for_its_width(tmp_path: Path) -> None:
    small = profile_of(model(tmp_path / "small", hidden_size=576), digest="1")
    large = profile_of(model(tmp_path / "large", text_config={"hidden_size": 4096}), digest="2")
    assert small.dialect is large.dialect is Dialect.GENERAL
    assert small.learn["training"]["learning_rate"] == rate_of(576) == pytest.approx(1.3e-3)
    assert large.learn["training"]["learning_rate"] == pytest.approx(2.9e-4)


def test_what_was_set_stays_whatever_the_profile_says(tmp_path: Path) -> None:
    profile = profile_of(model(tmp_path / "m", hidden_size=576), digest="1")
    settings = learn_settings(training__rank=4).with_defaults(profile.learn)
    assert (settings.training.rank, settings.training.alpha) == (4, 32)


def test_a_tuned_profile_is_kept_by_the_digest(tmp_path: Path) -> None:
    directory = model(tmp_path / "m", hidden_size=576)
    tuned = ModelProfile(dialect=Dialect.GENERAL, learn={"training": {"learning_rate": 7e-4}}, origin="tuned")
    save_tuned(tuned, digest="d")
    assert profile_of(directory, digest="d") == tuned
    assert profile_of(directory, digest="e") != tuned


@pytest.mark.parametrize("text", ["", "[]", '{"dialect": "klingon"}', "{}"])
def test_a_broken_profile_is_refused_by_name(tmp_path: Path, text: str) -> None:
    directory = model(tmp_path / "m", hidden_size=576)
    (directory / "sealserve-profile.json").write_text(text)
    with pytest.raises(BadConfig, match=r"sealserve-profile\.json is not a model profile"):
        profile_of(directory, digest="d")


def test_keys_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"learn\.training"):
        LearnSettings().with_defaults({"training": {"speed": 1}})


def test_a_result_that_cannot_be_written_is_said_with_the_error(tmp_path: Path, home: Path) -> None:
    home.mkdir()
    (home / ".cache").write_text("a file where a directory should be")
    tuned = ModelProfile(dialect=Dialect.GENERAL, learn={"training": {"learning_rate": 7e-4}}, origin="tuned")
    with pytest.raises(StorageFailed, match=r"cannot be written.*0\.0007"):
        save_tuned(tuned, digest="d")
