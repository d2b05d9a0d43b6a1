"""OAuth: client credentials for a bearer token, which carries its end and a signature: none is stored."""

from __future__ import annotations

import hmac
import time
import uuid
from hashlib import sha256
from urllib.parse import parse_qs

from ..tenant import Tenant
from ..users import USERS
from .call import Answer


class Tokens:
    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._epoch = 0
        """Raised when all tokens are to expire at once."""

    def expire(self) -> None:
        self._epoch += 1

    def grant(self, form: bytes) -> Answer:
        """POST /oauth/token."""
        said = {name: values[0] for name, values in parse_qs(form.decode("utf-8", "replace")).items()}
        if said.get("grant_type") != "client_credentials":
            return Answer({"reason": "unsupported grant_type"}, 400)
        given = (said.get("client_id"), said.get("client_secret"))
        user = next((one for one in USERS if given == (one.client_id, one.client_secret)), None)
        if user is None:
            return Answer({"reason": "Invalid client id or secret"}, 401)
        seconds = self._tenant.settings.token_seconds
        token = self._signed(time.time() + seconds, user.id)
        return Answer(
            {
                "access_token": token,
                "token_type": "bearer",
                "expires_in": seconds,
                "scope": "entity.11e643f4-a3ee-8bad-b061-0025904c57d6 platform.write service.read",
                "jti": str(uuid.uuid4()),
            }
        )

    def user(self, header: str) -> str | None:
        """The id of the user of an Authorization header; None where its token does not hold."""
        kind, _, token = header.partition(" ")
        try:
            until, id, _ = token.split("-")
            end = int(until) / 1_000
            same = hmac.compare_digest(token.encode(), self._signed(end, id).encode())
        except ValueError:
            return None
        return id if kind.lower() == "bearer" and same and end > time.time() else None

    def _signed(self, until: float, user: str) -> str:
        said = f"{until * 1_000:.0f}-{user}"
        mark = hmac.new(f"twin/{self._epoch}".encode(), said.encode(), sha256).hexdigest()
        return f"{said}-{mark[:32]}"
