"""One source at work: its log becomes hints, of all its keys where the log alone is not enough."""
