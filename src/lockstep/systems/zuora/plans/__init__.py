"""From an account as it is and as it should be to order actions. Pure."""
