"""Figures of the gate, of poisoned documents and of rollouts."""
