"""Lockstep keeps two systems in agreement, proves that they agree, and brings one back when it is lost."""
