"""Tables as targets: what the SQL writer (`systems/sql`) is told of PostgreSQL."""
