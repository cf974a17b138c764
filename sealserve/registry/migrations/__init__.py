"""The schema's history, shipped in the package and applied when a registry is opened."""
