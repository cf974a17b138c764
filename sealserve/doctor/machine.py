"""The processor, and where and how training runs."""

import os
from importlib.util import find_spec

from sealserve.doctor.connections import listens
from sealserve.doctor.finding import Finding, State
from sealserve.doctor.packages import versions_of
from sealserve.settings.settings import Settings


def check_processor(settings: Settings) -> Finding:
    """Check that the engine's number format is fast on this processor."""
    from sealserve.processes.processor import cpu_dtype, has_bfloat16

    fast = "bfloat16 and float32" if has_bfloat16() else "float32 (no AVX-512: bfloat16 would be many times slower)"
    found = f"fast here: {fast}; a CPU engine runs in {cpu_dtype(settings.engine.dtype)}"
    is_slow = settings.engine.dtype in ("bfloat16", "float16") and not has_bfloat16()
    advice = "set engine.dtype to auto, unless the engine runs on a GPU"
    return Finding.of("processor", not is_slow, found, advice=advice, bad=State.WARNS)


def check_executor(settings: Settings) -> Finding:
    """Check the training executor; a Ray cluster is only looked for, not joined."""
    name, learn = "training executor", settings.learn
    if learn.executor == "process":
        return Finding.of(name, True, f"child processes of learn on devices: {learn.devices or 'inherited'}")
    if find_spec("ray") is None:
        return Finding.of(name, False, "ray is not installed", advice="pip install 'sealserve[ray]', on every node")
    host, _, port = learn.ray_address.rpartition(":")
    if port.isdigit() and not listens(host, int(port)):
        advice = "start the cluster (ray start --head), or set learn.ray_address"
        return Finding.of(name, False, f"no Ray cluster at {learn.ray_address}", advice=advice, bad=State.WARNS)
    return Finding.of(name, True, f"{versions_of('ray')}, cluster {learn.ray_address}")


def check_niceness(settings: Settings) -> Finding:
    """Check that training yields to serving on this machine."""
    from sealserve.processes.niceness import AUTOGROUP, is_grouped_by_session

    name, found = "niceness", f"trainers run at {settings.learn.niceness}"
    if not is_grouped_by_session():
        return Finding.of(name, True, f"{found}, which counts beside every process")
    if os.access(AUTOGROUP, os.W_OK):
        return Finding.of(name, True, f"{found}; Linux groups processes by session, and learn lowers that of its own")
    found += f"; Linux groups processes by session, and {AUTOGROUP} cannot be written"
    advice = "serve and learn in one session (sealserve up), or: sysctl kernel.sched_autogroup_enabled=0"
    return Finding.of(name, False, found, advice=advice, bad=State.WARNS)
