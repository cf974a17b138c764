"""bfloat16 is used on a CPU only where the processor has it."""

from pathlib import Path

import pytest

from sealserve.processes import processor
from sealserve.processes.processor import cpu_dtype, has_bfloat16


@pytest.mark.parametrize(
    ("text", "fast"),
    [
        ("flags\t\t: fpu sse2 avx avx2\n", False),
        ("flags\t\t: fpu avx2 avx512f avx512dq avx512bw avx512vl\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("Features\t: fp asimd bf16\n", True),
        ("Features\t: fp asimd\n", False),
        ("", False),
    ],
)
def test_what_the_processor_says_decides(tmp_path: Path, text: str, fast: bool) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(text, encoding="utf-8")
    assert has_bfloat16(path) is fast


def test_processor_that_cannot_be_asked_has_none(tmp_path: Path) -> None:
    assert not has_bfloat16(tmp_path / "absent")


def test_auto_is_float32_without_it_and_what_is_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "has_bfloat16", lambda: False)
    assert [cpu_dtype(name) for name in ("auto", "bfloat16", "float32")] == ["float32", "bfloat16", "float32"]
    monkeypatch.setattr(processor, "has_bfloat16", lambda: True)
    assert cpu_dtype("auto") == "auto"
