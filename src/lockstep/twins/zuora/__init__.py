"""A stand-in of Zuora: its REST API on a real port, with accounts, orders, subscriptions and their segments,
invoices and payments in a SQLite file. Never compared with a real tenant: README.md says what judged it."""
