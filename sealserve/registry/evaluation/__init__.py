"""What candidates are measured by: question sets, feedback, canary suites and cached scores."""
