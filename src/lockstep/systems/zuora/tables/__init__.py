"""A tenant's objects as tables: read by object queries, followed by what was updated since."""
