"""What a handler is given and gives back, and how each family of paths says no."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from ..engine.tree import Refused
from ..tenant import Tenant
from ..users import SERVICE

_T = TypeVar("_T")


@dataclass
class Call:
    """One request, read."""

    tenant: Tenant
    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    """The named parts of the path."""
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    user: str = SERVICE.id

    def one(self, name: str) -> str | None:
        """A query parameter."""
        return next((value for key, value in self.query if key == name), None)

    def all(self, name: str) -> list[str]:
        """A query parameter that may be repeated, as `name` or `name[]`, and may hold a list with commas."""
        given = [value for key, value in self.query if key in {name, f"{name}[]"}]
        return [one for value in given for one in value.split(",") if one]

    def said(self, type: type[_T]) -> _T:
        """The body as a typed value; raises Refused where it is not."""
        try:
            return msgspec.convert(self.body if self.body is not None else {}, type, strict=False)
        except msgspec.ValidationError as error:
            raise Refused(22 if "missing required" in str(error) else 20, str(error)) from None


@dataclass
class Answer:
    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def ok(**fields: Any) -> Answer:
    """As the /v1 paths say yes."""
    return Answer({"success": True, **fields})


Handler = Callable[[Call], Answer]
Saying = Callable[[Refused, str], Answer]


@dataclass(frozen=True)
class Route:
    """An endpoint. `resource` is the six digits that its error codes begin with."""

    method: str
    template: str
    handler: Handler
    resource: str
    no: Saying
    heavy: bool = False
    """Counts as a big process, of which fewer may be under way."""
    account: Callable[[Call], str | None] | None = None
    """The number of the account that it locks."""


def v1(error: Refused, resource: str) -> Answer:
    """HTTP 200, success: false."""
    reasons = [{"code": int(f"{resource}{error.category:02d}"), "message": str(error)}]
    return Answer({"success": False, "processId": secrets.token_hex(8).upper(), "reasons": reasons})


def plain(error: Refused, resource: str) -> Answer:
    """The same, with a status that says it too: object query and notifications."""
    status = {40: 404, 70: 429, 60: 500}.get(error.category, 400)
    return Answer(v1(error, resource).body, status)


CRUD_CODES = {20: "INVALID_VALUE", 22: "MISSING_REQUIRED_VALUE", 40: "INVALID_ID", 43: "DUPLICATE_VALUE"}
CRUD_CODES |= {50: "LOCK_COMPETITION", 45: "UNSUPPORTED", 70: "REQUEST_EXCEEDED_LIMIT", 90: "MALFORMED_QUERY"}


def crud(error: Refused, resource: str) -> Answer:
    """PascalCase: /v1/object."""
    code = CRUD_CODES.get(error.category, "TRANSACTION_FAILED")
    body = {"Success": False, "Errors": [{"Code": code, "Message": str(error)}]}
    return Answer(body, 404 if error.category == 40 else 400)


def fault(error: Refused, resource: str) -> Answer:
    """As /v1/action/query says no."""
    code = CRUD_CODES.get(error.category, "TRANSACTION_FAILED")
    return Answer({"faultcode": f"fns:{code}", "faultstring": str(error)}, 400)
