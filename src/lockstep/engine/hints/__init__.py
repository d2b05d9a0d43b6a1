"""From hints to root keys: what is to be derived, in which order, and what is settled by it."""
