"""Where saved states lie: a snapshot repository of the cluster's, as declared and as registered there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from lockstep.errors import DeclarationError, Refused, SystemError_
from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.reasons import BUSY, Reason, reason

Snapshots = str | Mapping[str, Any] | None
"""The name of a repository that the cluster knows, or what registers one, as the server takes it, with its
name beside: `{"name": "lockstep", "type": "fs", "settings": {"location": "…"}}`."""

NAME = "lockstep"
"""What a repository is called that Lockstep registers, unless it is said."""

_ALLOWED = re.compile(r"[^\\/*?\"<>|\s,#]+")


class Place(NamedTuple):
    """A repository, as declared. `kind` is None where it is registered already, by somebody else."""

    name: str
    kind: str | None
    settings: Mapping[str, Any]

    @property
    def path(self) -> str:
        return f"/_snapshot/{quote(self.name, safe='')}"


def declared(snapshots: Snapshots) -> Place | None:
    """What `snapshots=` says. Raises DeclarationError."""
    if snapshots is None:
        return None
    if isinstance(snapshots, str):
        return Place(_checked(snapshots), None, {})
    if not isinstance(snapshots, Mapping) or not isinstance(snapshots.get("type"), str):
        raise DeclarationError(
            "snapshots= is neither the name of a repository nor what registers one",
            'Write snapshots="NAME", or snapshots={"type": "fs", "settings": {"location": "/backups"}}.',
        )
    if strange := sorted(set(snapshots) - {"name", "type", "settings"}):
        raise DeclarationError(
            f"snapshots= does not take {', '.join(map(repr, strange))}",
            'It has a "type", "settings", and a "name" if that shall not be "lockstep".',
        )
    settings = snapshots.get("settings", {})
    if not isinstance(settings, Mapping):
        raise DeclarationError(
            "the settings of snapshots= are no mapping", 'Write "settings": {"location": "/backups"}.'
        )
    return Place(_checked(snapshots.get("name", NAME)), snapshots["type"], dict(settings))


def _checked(name: Any) -> str:
    if not isinstance(name, str) or not _ALLOWED.fullmatch(name) or name.startswith("_"):
        raise DeclarationError(
            f"{name!r} cannot be the name of a snapshot repository",
            'Use letters, digits, "-", "_" and ".", beginning with a letter.',
        )
    return name


class Full(Refused):
    """Nothing more can be written there; what lies there can be read."""


class Answer(NamedTuple):
    """What the cluster said of snapshots: the JSON of a good answer, else its status and reason."""

    status: int
    value: Any
    why: Reason


class Shelf:
    """A declared repository in a cluster: asks it, and registers it where that is wanted and it is not."""

    def __init__(self, client: Client, place: Place) -> None:
        self.place = place
        self._client = client
        self._ready = False

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """One call below the repository; the caller judges what is not good, unreachable or forbidden."""
        if not self._ready:
            self._prepare()
        answer = self._sent(method, self.place.path + path, body)
        if answer.why.kind == "repository_missing_exception":
            self._ready = False
            raise self._missing()
        return answer

    def refusal(self, answer: Answer) -> SystemError_:
        """The error for an answer that is not a good one."""
        name, said = self.place.name, answer.why
        text = said.text.lower()
        if "no space left" in text or "disk quota" in text:
            return Full(
                f"the snapshot repository {name} is full: {said}",
                "Free space there: keep fewer saved states (`lockstep snapshot --keep`), or enlarge it.",
            )
        if "readonly" in text or "read-only" in text:
            return Refused(
                f"the snapshot repository {name} may only be read: {said}",
                "Register it without `readonly`, in one cluster only; or declare another one for saving.",
            )
        if said.kind in (
            "repository_exception",
            "repository_verification_exception",
            "access_denied_exception",
        ):
            return Refused(
                f"the snapshot repository {name} cannot be used: {said}",
                f"See that every node reaches it and may write there: POST {self.place.path}/_verify",
            )
        return Refused(
            f"the cluster refuses to do that with its snapshot repository {name} ({answer.status}): {said}",
            f"See GET {self.place.path}/_all and the cluster's log.",
        )

    def verify(self) -> None:
        """Has every node say whether it can use the repository."""
        answer = self.ask("POST", "/_verify")
        if answer.value is None:
            raise self.refusal(answer)

    def registered(self) -> bool:
        """Whether the cluster knows it; False where Lockstep shall register it and has not yet. Changes
        nothing. Raises Refused where somebody else should have, or it is another one."""
        place = self.place
        found = self._sent("GET", place.path)
        if found.value is not None:
            if place.kind is not None:
                self._assert_same(found.value.get(place.name, {}))
            return True
        if found.why.kind != "repository_missing_exception":
            raise self.refusal(found)
        if place.kind is None:
            raise self._missing()
        return False

    def _sent(self, method: str, path: str, body: Any = None) -> Answer:
        """Raises Unreachable, and Refused where it is the user who may not."""
        content = None if body is None else self._client.content(body)
        status, answer = self._client.send(method, path, content)
        if status in (200, 201):
            return Answer(status, self._client.parse(answer), Reason("", ""))
        why = reason(answer)
        if status in (401, 403) or (status in BUSY and why.kind not in _TURNS):
            raise self._client.failure(status, answer)
        return Answer(status, None, why)

    def _prepare(self) -> None:
        if not self.registered():
            self._register()
        self._ready = True

    def _register(self) -> None:
        place = self.place
        answer = self._sent("PUT", place.path, {"type": place.kind, "settings": dict(place.settings)})
        if answer.value is not None:
            return
        text = answer.why.text
        if "path.repo" in text:
            raise Refused(
                f"the cluster does not allow a snapshot repository there: {text}",
                f"Put the directory, or one above it, into path.repo of {_file(self._client)} on every node, "
                "and restart them one by one.",
            )
        if "type [" in text and "does not exist" in text:
            raise Refused(
                f"the cluster has no snapshot repositories of type {place.kind}: {text}",
                f"Install the plugin on every node (repository-{place.kind}) and restart them one by one.",
            )
        raise self.refusal(answer)

    def _assert_same(self, found: Any) -> None:
        """A repository of that name is the declared one. It is never registered anew over another."""
        place = self.place
        live = found.get("settings", {})
        differ = [
            f"{name} is {live.get(name)}, declared is {value}"
            for name, value in place.settings.items()
            if str(live.get(name)).lower() != str(value).lower()
        ]
        if found.get("type") != place.kind:
            differ.insert(0, f"its type is {found.get('type')}, declared is {place.kind}")
        if differ:
            raise Refused(
                f"the cluster has another snapshot repository of the name {place.name}: {'; '.join(differ)}",
                'Declare it as it is, or another "name" in snapshots=.',
            )

    def _missing(self) -> Refused:
        name = self.place.name
        return Refused(
            f"the cluster has no snapshot repository {name}",
            f'Register it: PUT /_snapshot/{name} {{"type": "fs", "settings": {{"location": "/backups"}}}} '
            f"(the directory must be in path.repo of {_file(self._client)} on every node), or have Lockstep "
            'do it: snapshots={"type": "fs", "settings": {"location": "/backups"}}.',
        )


_TURNS = frozenset({"concurrent_snapshot_execution_exception", "concurrent_snapshot_execution"})
"""Not busy, but another snapshot's turn: whoever asks waits and says for whom."""


def is_turn(answer: Answer) -> bool:
    """Whether the cluster would do it later, when another snapshot or deletion is through."""
    return answer.why.kind in _TURNS


def _file(client: Client) -> str:
    return f"{client.flavour.title.lower()}.yml"
