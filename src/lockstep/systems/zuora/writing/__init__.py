"""A batch of accounts written: planned, noted, sent until there is a definite answer, settled."""
