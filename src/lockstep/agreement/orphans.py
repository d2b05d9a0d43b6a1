"""What a target holds and nobody derives: records of ours beyond those that the pass over the source met, and
records of nobody's. Where both met the same, nothing is derived again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from lockstep.agreement.met import Met, mark, span_of
from lockstep.agreement.report import SHOWN
from lockstep.agreement.scope import Scope
from lockstep.agreement.suspects import Settler
from lockstep.agreement.walk import PAGE
from lockstep.engine.deriving.derive import Deriver
from lockstep.errors import CannotSum
from lockstep.forms.canonical import wrap64
from lockstep.values import Key, Listed, Span


class Orphans:
    """Of one mapping. `cuts` and `met`: see `met.together`; `progress` is told how far it is, of how many."""

    def __init__(
        self,
        scope: Scope,
        deriver: Deriver,
        settler: Settler,
        cuts: Sequence[Key],
        met: Sequence[Met],
        progress: Callable[[int, int], None],
    ) -> None:
        self._name = scope.mapping.name
        self._door = scope.door
        self._findings = scope.findings
        self._known = {scope.mapping.name, *scope.sharing}
        self._deriver = deriver
        self._settler = settler
        self._cuts = cuts
        self._met = met
        self._progress = progress

    def find(self) -> int:
        """Adds them to the findings; how many records the target holds. Only keys are looked at again that
        have other records than the pass over the source met."""
        if self._door.identity() is None:
            return 0
        try:
            return self._over_sums()
        except CannotSum:
            return self._over_records()

    def _over_sums(self) -> int:
        """By what records say of themselves, summed in the target; listed only where others were met."""
        found = self._door.sums(self._name, self._cuts)
        records = sum(tally.records for tally in found.spans)
        if found.others != 0:
            count, some = self._door.strangers(sorted(self._known), SHOWN)
            self._findings.strangers(count, some)
            records += count
        self._progress(records, records)
        bounds = [None, *self._cuts, None]
        for n, tally in enumerate(found.spans):
            met = self._met[n]
            if (tally.records, tally.total) == (met.records, met.fingerprints):
                continue
            said = [
                (one.key, one.meta.key)
                for page in self._door.marks(self._name, Span(bounds[n], bounds[n + 1]))
                for one in page
            ]
            if wrap64(sum(mark(*one) for one in said)) != met.marks:
                self._settler.settle(self._not_derived(said))
        return records

    def _over_records(self) -> int:
        """By asking for every record once more, though not for what is in it."""
        done = count = 0
        some: list[Key] = []
        left = [met.marks for met in self._met]
        for page in self._target_pages():
            for held in page:
                if held.meta is None or held.meta.mapping not in self._known:
                    count += 1
                    if len(some) < SHOWN:
                        some.append(held.key)
                elif held.meta.mapping == self._name:
                    left[span_of(self._cuts, held.meta.key)] -= mark(held.key, held.meta.key)
            done += len(page)
        self._findings.strangers(count, some)
        others = {n for n, rest in enumerate(left) if wrap64(rest)}
        for page in self._target_pages() if others else ():
            mine = [(held.key, meta) for held in page if (meta := held.meta) is not None]
            said = [(key, meta.key) for key, meta in mine if meta.mapping == self._name]
            unlike = [one for one in said if span_of(self._cuts, one[1]) in others]
            self._settler.settle(self._not_derived(unlike))
        return done

    def _target_pages(self) -> Iterator[list[Listed]]:
        """Every record of the target, in pages."""
        total = self._door.contents().records
        done, after = 0, None
        while True:
            page = self._door.listed(after, PAGE)
            yield page
            done += len(page)
            self._progress(done, total)
            if len(page) < PAGE:
                return
            after = page[-1].key

    def _not_derived(self, said: Sequence[tuple[Key, Key]]) -> dict[Key, set[Key]]:
        """Target keys, by the source key that their records say they are from, which does not derive them."""
        mine: dict[Key, set[Key]] = {}
        for target_key, source in said:
            mine.setdefault(source, set()).add(target_key)
        suspects: dict[Key, set[Key]] = {}
        for key, one in self._deriver.derive(list(mine), time.time()).items():
            left = mine[key].difference(item.key for item in one.desired)
            if left and one.error is None:  # what cannot be derived was reported by the pass over the source
                suspects[key] = left
        return suspects
