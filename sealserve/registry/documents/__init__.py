"""Documents: their rows, texts and subjects."""
