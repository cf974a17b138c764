"""Imported first by every Python process that has this folder on PYTHONPATH: sealserve with a simulated model.

`sealserve serve` gets a Student in place of vLLM, `sealserve learn` a Teacher in place of the training child.
All else is real: processes, the registry, gRPC, leases, kills.
"""

import sys

if "sealserve" in sys.orig_argv:
    from sealserve import daemon
    from tests.stories.student import PROBES, Student, Teacher

    vars(daemon).update(
        VllmEngine=lambda *args, **named: Student(),
        ChildTrainer=lambda *args, **named: Teacher(),
        probes_for=lambda model: PROBES,
    )
