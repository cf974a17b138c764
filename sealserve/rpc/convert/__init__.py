"""The only place where records become wire messages and wire messages become records."""
