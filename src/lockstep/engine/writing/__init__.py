"""From records to a ledger that is true: decide, judge, intent, the guarded write, settle."""
