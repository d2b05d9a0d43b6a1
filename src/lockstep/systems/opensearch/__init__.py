"""Search clusters as targets: `OpenSearch("http://localhost:9200").index("users")`, or `Elasticsearch(…)`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Self
from urllib.parse import unquote, urlsplit, urlunsplit

from lockstep.errors import DeclarationError
from lockstep.forms import keys
from lockstep.ports import Loss
from lockstep.systems.opensearch.builds import Builds
from lockstep.systems.opensearch.check import check
from lockstep.systems.opensearch.client import Auth, Client, Verify
from lockstep.systems.opensearch.flavour import ELASTICSEARCH, OPENSEARCH, Flavour
from lockstep.systems.opensearch.layout import Layout, checked_name
from lockstep.systems.opensearch.losses.holding import fields, losses
from lockstep.systems.opensearch.saved.check_place import check_place
from lockstep.systems.opensearch.saved.places import Snapshots, declared
from lockstep.systems.opensearch.saved.repository import SnapshotRepository
from lockstep.systems.opensearch.writer import LARGEST_REQUEST, IndexWriter
from lockstep.values import Finding, Identity, Key, Record

__all__ = ["Elasticsearch", "OpenSearch", "SearchCluster", "SearchIndex"]


class SearchCluster:
    """A search cluster, as declared. Opens nothing.

    User and password stand in the URL or in `auth=`, which may also be the whole value of an Authorization
    header. `verify` is False, or the file of the authority that signed the cluster's certificate. `timeout`
    is how many seconds may pass without a byte of an answer. `snapshots` says where saved states of its
    indices lie: the name of a snapshot repository that the cluster knows, or what registers one, as the
    server takes it (`type`, `settings`), with its `name` beside unless that is to be `lockstep`.
    """

    flavour: ClassVar[Flavour]

    def __init__(
        self,
        url: str,
        *,
        auth: Auth = None,
        verify: Verify = True,
        timeout: float = 90.0,
        snapshots: Snapshots = None,
    ) -> None:
        self.url, found = _without_secrets(url)
        self.verify = verify
        self.timeout = timeout
        self.snapshots = declared(snapshots)
        self._auth = auth or found

    @classmethod
    def from_env(
        cls,
        variable: str,
        *,
        auth: Auth = None,
        verify: Verify = True,
        timeout: float = 90.0,
        snapshots: Snapshots = None,
    ) -> Self:
        """The cluster whose URL an environment variable holds, secrets and all."""
        url = os.environ.get(variable)
        if not url:
            raise DeclarationError(
                f"the environment variable {variable} is not set",
                f"Set it: export {variable}=https://user:password@search.example.com:9200",
            )
        return cls(url, auth=auth, verify=verify, timeout=timeout, snapshots=snapshots)

    def index(
        self,
        name: str,
        *,
        mappings: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        largest_request: int = LARGEST_REQUEST,
    ) -> SearchIndex:
        """An index of it as a target. Mappings and settings are the server's own, used when it is created.

        `largest_request` bounds the bytes of one bulk request; only a single document may be larger.
        """
        return SearchIndex(self, checked_name(name), mappings or {}, settings or {}, largest_request)

    def connect(self, *, timeout: float | None = None) -> Client:
        """A pool of connections, for the caller to close."""
        return Client(self.url, self._auth, self.verify, self.flavour, timeout=timeout or self.timeout)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SearchCluster) and (self.url, self.flavour) == (other.url, other.flavour)

    def __hash__(self) -> int:
        return hash((self.url, self.flavour))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"


class OpenSearch(SearchCluster):
    """An OpenSearch cluster, version 2 or later."""

    flavour = OPENSEARCH


class Elasticsearch(SearchCluster):
    """An Elasticsearch cluster, version 8 or later. An API key is given as `auth="ApiKey …"`."""

    flavour = ELASTICSEARCH


@dataclass(frozen=True)
class SearchIndex:
    """A `ports.Target`, `Generational` and `Restorable`: an alias over one index per generation."""

    system: SearchCluster
    index: str
    mappings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    largest_request: int = LARGEST_REQUEST

    @property
    def name(self) -> str:
        return f"{self.system.flavour.title.lower()}:{self.index}"

    def key(self, values: Sequence[Any]) -> Key:
        """Document ids are text, so every key is one text."""
        return keys.encode((keys.text_of(values),))

    def open(self, generation: int) -> IndexWriter:
        return self._writer(self.system.connect(), generation)

    def _writer(self, client: Client, generation: int) -> IndexWriter:
        names = Layout(self.index, generation)
        return IndexWriter(client, names, self.mappings, self.settings, self.largest_request)

    def searched(self) -> int | None:
        with self._builds() as builds:
            return builds.searched()

    def assert_pointable(self, generation: int) -> None:
        with self._builds() as builds:
            builds.assert_pointable(generation)

    def point(self, generation: int) -> None:
        with self._builds() as builds:
            builds.point(generation)

    def remove(self, generation: int, marker: str) -> None:
        with self._builds() as builds:
            builds.remove(generation, marker)

    @contextlib.contextmanager
    def _builds(self) -> Iterator[Builds]:
        with contextlib.closing(self.system.connect()) as client:
            yield Builds(client, self.index)

    def repository(self) -> SnapshotRepository:
        """Saved states, in the snapshot repository that `snapshots=` of the cluster declares."""
        if self.system.snapshots is None:
            title = self.system.flavour.title
            raise DeclarationError(
                f"no place for saved states of {self.name} is declared",
                f'Write ls.{title}(url, snapshots="NAME") with the name of a snapshot repository of the '
                "cluster, or have Lockstep register one: "
                'snapshots={"type": "fs", "settings": {"location": "/backups"}}.',
            )
        client = self.system.connect()
        return SnapshotRepository(client, self.system.snapshots, self.index, partial(self._identity, client))

    def _identity(self, client: Client, generation: int) -> Identity | None:
        return self._writer(client, generation).identity()

    def losses(self, records: Sequence[Record]) -> list[Loss]:
        with contextlib.closing(self.system.connect(timeout=min(20.0, self.system.timeout))) as client:
            return losses(fields(client, Layout(self.index, 1), self.mappings, self.settings), records)

    def check(self) -> list[Finding]:
        """Everything that can be known before the first write, asking and changing nothing."""
        client = self.system.connect(timeout=min(20.0, self.system.timeout))
        try:
            found = check(client, self.name, Layout(self.index, 1), self.mappings, self.settings)
            place = self.system.snapshots
            if place is not None and not any(one.blocks for one in found):
                found += check_place(client, self.name, place)
            return found
        finally:
            client.close()


def _without_secrets(url: str) -> tuple[str, Auth]:
    """The URL as it may be printed, and the user and password that stood in it."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise DeclarationError(
            "the URL of a search cluster is not an http or https address",
            "Write it as https://user:password@search.example.com:9200.",
        )
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", "")), auth
