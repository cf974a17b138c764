"""From admitted self-edits to a training job, and the processes that run it."""
