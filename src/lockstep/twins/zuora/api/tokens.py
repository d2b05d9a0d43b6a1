"""OAuth: client credentials for a bearer token, which carries its end and a signature: none is stored."""

from __future__ import annotations

import hmac
import time
import uuid
from hashlib import sha256
from urllib.parse import parse_qs

from ..tenant import Tenant
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
        if (said.get("client_id"), said.get("client_secret")) != self._tenant.credentials:
            return Answer({"reason": "Invalid client id or secret"}, 401)
        seconds = self._tenant.settings.token_seconds
        token = self._signed(time.time() + seconds)
        return Answer(
            {
                "access_token": token,
                "token_type": "bearer",
                "expires_in": seconds,
                "scope": "entity.11e643f4-a3ee-8bad-b061-0025904c57d6 platform.write service.read",
                "jti": str(uuid.uuid4()),
            }
        )

    def valid(self, header: str) -> bool:
        """Whether an Authorization header carries a token that still holds."""
        kind, _, token = header.partition(" ")
        try:
            until = float(token.split("-")[0])
        except ValueError:
            return False
        same = hmac.compare_digest(token.encode(), self._signed(until).encode())
        return kind.lower() == "bearer" and same and until > time.time()

    def _signed(self, until: float) -> str:
        key = f"{self._tenant.credentials[1]}/{self._epoch}".encode()
        return f"{until:.0f}-{hmac.new(key, f'{until:.0f}'.encode(), sha256).hexdigest()[:32]}"
