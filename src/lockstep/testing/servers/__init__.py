"""Real servers for tests: PostgreSQL from PyPI, search servers from Maven Central, no container needed.

Each keeps to a directory of its own, listens on the loopback interface only, and is gone with its directory
when the process that started it ends, however it ends.
"""

from ._search import SearchHandle, SearchServer
from ._support import ServerFailed, ServerUnavailable, cache_directory
from .elasticsearch import Elasticsearch8Server, Elasticsearch9Server, ElasticsearchHandle
from .opensearch import OpenSearch3Server, OpenSearchHandle, OpenSearchServer
from .postgres import PostgresHandle, PostgresServer
from .postgres_copies import Backup, PostgresStandby
from .postgres_debian import Postgres15Server

__all__ = [
    "Backup",
    "Elasticsearch8Server",
    "Elasticsearch9Server",
    "ElasticsearchHandle",
    "OpenSearch3Server",
    "OpenSearchHandle",
    "OpenSearchServer",
    "Postgres15Server",
    "PostgresHandle",
    "PostgresServer",
    "PostgresStandby",
    "SearchHandle",
    "SearchServer",
    "ServerFailed",
    "ServerUnavailable",
    "cache_directory",
]
