"""What a cycle ranks its candidates by: one small protocol (`kinds.py`), one file per family."""
