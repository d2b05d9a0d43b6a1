"""Agreement: whether source and target are semantically equal, shown by reading both."""
