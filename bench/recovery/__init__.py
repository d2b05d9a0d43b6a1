"""What recovery costs, beside what it saves."""
