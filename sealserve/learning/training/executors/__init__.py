"""Where training processes run: child processes or Ray."""
