"""The model cache: a model is there whole or not at all."""

from pathlib import Path

import pytest

from sealserve.base_models.cache import cache_directory, cached_models, find_model, new_model
from sealserve.base_models.catalogue import KNOWN_MODELS
from sealserve.base_models.download import file_digest, require_digest
from sealserve.base_models.gguf import require_gguf
from sealserve.engine.base_model import model_directory
from sealserve.errors import AlreadyExists, BadConfig, CorruptArtifact, InvalidArgument


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def add(name: str, content: str = "weights") -> None:
    with new_model(name, source="a test", sha256="0" * 64, licence="MIT") as directory:
        (directory / "config.json").write_text(content, encoding="utf-8")


def test_model_that_was_added_is_found_by_its_name_and_by_the_engine() -> None:
    add("small")
    assert find_model("small") == cache_directory() / "small"
    assert model_directory("small") == cache_directory() / "small"
    assert [(one.name, one.licence, one.bytes) for one in cached_models()] == [("small", "MIT", len("weights"))]


def test_failure_in_the_middle_leaves_nothing() -> None:
    def fail_half_way() -> None:
        with new_model("small", source="", sha256="", licence="") as directory:
            (directory / "config.json").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert find_model("small") is None
    assert list(cache_directory().iterdir()) == []


def test_model_is_never_replaced() -> None:
    add("small")
    with pytest.raises(AlreadyExists):
        add("small", "others")
    assert (cache_directory() / "small/config.json").read_text(encoding="utf-8") == "weights"


@pytest.mark.parametrize("name", ["", "nano", "../evil", "a/b", "Ü", ".hidden", "x" * 64])
def test_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument):
        add(name)
    assert find_model(name) is None


def test_damaged_note_is_named_with_what_to_do() -> None:
    add("small")
    (cache_directory() / "small/sealserve-model.json").write_text("{", encoding="utf-8")
    with pytest.raises(BadConfig, match="add the model again"):
        cached_models()


def test_known_model_that_was_not_added_says_how() -> None:
    assert "smollm2" in KNOWN_MODELS
    with pytest.raises(BadConfig, match="sealserve model add smollm2"):
        model_directory("smollm2")


def test_file_with_another_digest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    require_digest(path, file_digest(path))
    with pytest.raises(CorruptArtifact):
        require_digest(path, "0" * 64)


def test_only_a_gguf_file_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(InvalidArgument, match="not a GGUF"):
        require_gguf(path)
    with pytest.raises(InvalidArgument, match="cannot be read"):
        require_gguf(tmp_path / "absent.gguf")
