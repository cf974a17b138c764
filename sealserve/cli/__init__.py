"""The `sealserve` command: one file per command noun."""
