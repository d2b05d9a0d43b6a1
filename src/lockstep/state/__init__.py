"""The state store: ledger, leases, claims, intents, stuck keys, positions and runs."""
