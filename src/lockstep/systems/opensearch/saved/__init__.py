"""Saved states of an index, by the cluster's snapshot API."""
