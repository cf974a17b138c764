"""One module for each format that is read: bytes or text in, title and Markdown out. Runs in the sandbox."""
