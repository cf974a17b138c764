"""Checks whether this machine and its settings can run sealserve: a module a subject, a function a finding."""
