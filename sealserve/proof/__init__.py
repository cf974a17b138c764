"""What proves where a version came from: keys, signed manifests, lineage, export and import."""
