"""From root keys to records: what the target should hold, by the state of the source as it is now."""
