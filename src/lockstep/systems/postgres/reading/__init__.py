"""What is there now: one moment of a database, by keys, rows, sums and groups."""
