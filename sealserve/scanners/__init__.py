"""Pure text scanners: what a document must not contain."""
