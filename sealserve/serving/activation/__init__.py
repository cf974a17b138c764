"""The parts of the activator: loading versions, swapping routes, places for adapters, and retired versions."""
