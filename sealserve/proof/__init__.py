"""Provenance of versions: keys, signed manifests, lineage, export and import."""
