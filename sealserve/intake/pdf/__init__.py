"""PDF documents: the words that a reader of the page sees, in reading order."""
