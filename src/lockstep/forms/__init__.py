"""Forms that are stored and never change: key bytes, canonical form, fingerprints. See `tests/golden`."""
