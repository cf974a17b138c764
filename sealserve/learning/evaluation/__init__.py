"""Scores: ranking, confirmation, regression suites and back-door probes."""
