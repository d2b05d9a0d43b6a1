"""The tenant's clock: that of the machine, or set elsewhere and running on, or set and standing still."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo


class Clock:
    """`set` moves it; `frozen` stops it there. `state` is for a restart to go on from."""

    def __init__(self, zone: str, state: str | None = None) -> None:
        self._zone = ZoneInfo(zone)
        self._ahead = timedelta(0)
        self._stands: datetime | None = None
        if state:
            kind, value = state.split(" ", 1)
            if kind == "stands":
                self._stands = datetime.fromisoformat(value)
            else:
                self._ahead = timedelta(seconds=float(value))

    @property
    def state(self) -> str:
        if self._stands is not None:
            return f"stands {self._stands.isoformat()}"
        return f"ahead {self._ahead.total_seconds()}"

    def set(self, now: datetime | None, *, frozen: bool) -> None:
        """None is the machine's time."""
        real = datetime.now(UTC)
        self._ahead = timedelta(0) if now is None else now - real
        self._stands = (now or real) if frozen else None

    def now(self) -> datetime:
        return self._stands if self._stands is not None else datetime.now(UTC) + self._ahead

    def today(self) -> date:
        """In the tenant's time zone."""
        return self.now().astimezone(self._zone).date()
