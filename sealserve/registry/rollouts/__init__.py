"""Rollouts: traffic shares and the evidence collected after a promotion."""
