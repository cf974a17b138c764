"""Bytes and directories by digest: on a disk, in an object store, and when they are deleted."""
