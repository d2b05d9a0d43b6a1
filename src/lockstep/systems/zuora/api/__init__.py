"""HTTP to a tenant: tokens, limits, failures, object queries, descriptions."""
