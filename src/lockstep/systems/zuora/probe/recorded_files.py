"""Recorded trees, kept in files: from `probe start` to `probe stop`, and afterwards to be looked at again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec

from lockstep.errors import DeclarationError, UsageError
from lockstep.systems.saved import durable
from lockstep.systems.zuora.probe.probed import Change, Recorded


class Probes:
    """The files of one account. A probe that was begun lasts until it is stopped, whatever restarts."""

    def __init__(self, folder: Path, account: str) -> None:
        self.account = account
        self._folder = folder
        self._name = quote(account, safe="")
        self._begun = folder / f"{self._name}.begun.json"

    def refuse_second(self) -> None:
        """Raises UsageError where a probe of the account was begun already."""
        if self._begun.exists():
            raise UsageError(
                f"a probe of {self.account} was begun already: {self._begun}",
                f"End it with `lockstep probe stop --account {self.account}`, or remove that file.",
            )

    def begin(self, tree: Sequence[Recorded]) -> Path:
        self.refuse_second()
        self._write(self._begun, msgspec.json.encode(tree))
        return self._begun

    def begun(self) -> list[Recorded]:
        """The tree that `begin` kept. Raises UsageError where nothing was begun."""
        try:
            return msgspec.json.decode(self._begun.read_bytes(), type=list[Recorded])
        except FileNotFoundError:
            raise UsageError(
                f"no probe of {self.account} was begun in {self._folder}",
                f"Begin with `lockstep probe start --account {self.account}`, from the same directory "
                "or with the same --records.",
            ) from None
        except (OSError, msgspec.MsgspecError) as error:
            raise UsageError(
                f"{self._begun} cannot be read: {error}", "Remove it, and begin again with `probe start`."
            ) from error

    def finish(self, before: Sequence[Recorded], after: Sequence[Recorded], found: Sequence[Change]) -> Path:
        """Keeps both trees and what befell; a probe that was begun is over then, and not before."""
        at = dt.datetime.now(dt.UTC)
        file = self._folder / f"{self._name}-{at:%Y%m%dT%H%M%S.%fZ}.json"
        said = {"account": self.account, "at": at, "changes": found, "before": before, "after": after}
        self._write(file, msgspec.json.encode(said))
        return file

    def over(self) -> None:
        """What was begun has been told."""
        self._begun.unlink(missing_ok=True)

    def _write(self, file: Path, content: bytes) -> None:
        """Whole or not at all, also when the machine stops."""
        beside = file.with_suffix(".tmp")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            durable.write(beside, content)
            beside.replace(file)
        except OSError as error:
            raise DeclarationError(
                f"{file} cannot be written: {error.strerror}", "Name another directory with --records."
            ) from error
