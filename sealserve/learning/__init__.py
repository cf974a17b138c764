"""Learning: from a tenant's documents to a judged candidate, one journaled cycle at a time."""
