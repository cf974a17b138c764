"""The steps of a learning cycle, one module each. `cycle.py` lists them in order."""
