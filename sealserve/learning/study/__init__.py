"""From documents to self-edits and quiz questions, and the filters between."""
