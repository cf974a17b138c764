"""Stores bytes and directories by digest, on a disk or in an object store, and deletes what is no longer used."""
