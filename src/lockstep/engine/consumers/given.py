"""What the thread of one mapping is given to work with."""

from __future__ import annotations

import threading

from msgspec import Struct

from lockstep.declaration.mapping import Mapping
from lockstep.engine.consumers.succession import Stays
from lockstep.engine.lease import Lease
from lockstep.limits import Guard
from lockstep.ports import Reader
from lockstep.state.store import Store


class Given(Struct, frozen=True, kw_only=True):
    """`stop`: set when the work is to end. `once`: set when it is to end by itself, and so waits for nobody.
    `claims`: whether target keys are claimed before they are written. `guard`: the mapping's, or another in
    its place. `succession`: says when another build is to be worked; None while a build is filled, of which
    whoever fills it decides what becomes."""

    mapping: Mapping
    store: Store
    lease: Lease
    reader: Reader
    stop: threading.Event
    once: threading.Event
    claims: bool
    guard: Guard
    succession: Stays | None = None
