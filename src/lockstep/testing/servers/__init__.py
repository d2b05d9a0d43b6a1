"""Real servers for tests: PostgreSQL from PyPI and OpenSearch from Maven Central, no container needed.

Each keeps to a directory of its own, listens on the loopback interface only, and is gone with its directory
when the process that started it ends, however it ends.
"""

from ._support import ServerFailed, ServerUnavailable, cache_directory
from .opensearch import OpenSearchHandle, OpenSearchServer
from .postgres import PostgresHandle, PostgresServer
from .postgres_debian import Postgres15Server

__all__ = [
    "OpenSearchHandle",
    "OpenSearchServer",
    "Postgres15Server",
    "PostgresHandle",
    "PostgresServer",
    "ServerFailed",
    "ServerUnavailable",
    "cache_directory",
]
