"""The segment engine: subscriptions, orders, what is due. Pure; knows nothing of HTTP or a database."""
