"""Files appear whole or not at all, and nothing is left beside them."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sealserve.atomic_files import create_file, replace_file


def test_replaced_file_has_the_new_content_and_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "key"
    replace_file(path, b"old")
    replace_file(path, b"new", mode=0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_created_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert create_file(path, b"first", mode=0o600)
    assert not create_file(path, b"second")
    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_exactly_one_of_many_creates_the_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda number: create_file(path, b"%d" % number), range(8)))
    assert [path.read_bytes()] == [b"%d" % number for number, is_first in enumerate(created) if is_first]
    assert list(tmp_path.iterdir()) == [path]


def test_failed_write_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    replace_file(path, b"old")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
