"""Saved states of targets as directories of files, for connectors that keep them so.

How a target's content becomes files, and files its content, is each connector's own.
"""
