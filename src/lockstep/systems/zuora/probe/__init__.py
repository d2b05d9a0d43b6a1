"""What befalls an account's records: recorded before and after, and compared."""
