"""Accounts as they are: what a tenant shows of them, folded to timelines."""
