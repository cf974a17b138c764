"""What this machine's processor can do, read from /proc/cpuinfo: which number format a CPU engine should use."""

import re
from functools import cache
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")
_X86 = {"avx512f", "avx512bw", "avx512vl", "avx512dq"}
"""What oneDNN needs for bfloat16 (its ISA level avx512_core); with AVX2 alone it has no such kernels."""


@cache
def has_bfloat16(cpu_info: Path = _CPU_INFO) -> bool:
    """Return whether matrix products in bfloat16 are faster here than in float32.

    Without AVX-512 a bfloat16 product of one row, which is what each generated token costs, takes 28 times as long as
    in float32. False where the processor cannot be asked.
    """
    try:
        text = cpu_info.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    lines = re.findall(r"(?mi)^(?:flags|features)\s*:\s*(.*)$", text)
    flags = set(lines[0].split()) if lines else set()
    return flags >= _X86 or "bf16" in flags


def cpu_dtype(dtype: str) -> str:
    """Return the format a CPU engine runs in: `dtype`, where "auto" is float32 unless bfloat16 is fast here."""
    return "float32" if dtype == "auto" and not has_bfloat16() else dtype
