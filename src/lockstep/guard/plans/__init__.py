"""Judges plans of other automation before they run: Terraform's, and a healer's. Pure; reads no network."""
