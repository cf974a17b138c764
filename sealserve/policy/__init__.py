"""Written rules: bundles, events and their evaluation."""
