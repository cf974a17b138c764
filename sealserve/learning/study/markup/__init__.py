"""Reading what models write around the self-edits: Markdown, labels, JSON."""
