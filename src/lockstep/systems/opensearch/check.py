"""What would go wrong when a run starts, found by asking. Creates and changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lockstep.errors import LockstepError, Refused, SystemError_
from lockstep.systems.opensearch import layout
from lockstep.systems.opensearch.client import Client, Greeting
from lockstep.systems.opensearch.flavour import FLAVOURS
from lockstep.systems.opensearch.layout import Layout
from lockstep.systems.opensearch.mappings import conflicts, fields
from lockstep.systems.opensearch.reasons import block_mend, reason
from lockstep.systems.opensearch.standing import standing
from lockstep.systems.opensearch.wire import META
from lockstep.values import Finding

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BLOCKS = {"read_only_allow_delete": "read-only-allow-delete", "read_only": "/5/", "write": "/8/"}


def check(
    client: Client, subject: str, names: Layout, mappings: Mapping[str, Any], settings: Mapping[str, Any]
) -> list[Finding]:
    """The findings about one target, those of the cluster first."""
    try:
        greeting = client.greeting()
    except SystemError_ as error:
        return [Finding(subject, str(error), error.remedy)]
    findings = list(_server(client, subject, greeting))
    if any(finding.blocks for finding in findings):
        return findings
    for ask in (_cluster, _disks, _names, _declared, _live):
        try:
            findings += ask(client, subject, names, mappings, settings)
        except LockstepError as error:
            # Without these privileges a run works; it only cannot be known beforehand whether it will.
            needed = ask in (_names, _live) or not isinstance(error, Refused)
            findings.append(Finding(subject, str(error), error.remedy, blocks=needed))
    return findings


def _server(client: Client, subject: str, greeting: Greeting) -> Iterator[Finding]:
    flavour, number = client.flavour, greeting.version
    if not re.match(r"\d+\.\d+", number):
        yield Finding(
            subject,
            f"what answers there is no {flavour.title}",
            "Give the address of the cluster itself; a path behind a proxy belongs into the URL.",
        )
        return
    if greeting.distribution != flavour.distribution:
        other = [known.title for known in FLAVOURS if known.distribution == greeting.distribution]
        title = other[0] if other else str(greeting.distribution)
        yield Finding(
            subject,
            f"what answers there is {title} {number}, not {flavour.title}",
            (f"Declare it as ls.{title}(…), or give" if other else "Give")
            + f" the address of an {flavour.title} cluster.",
        )
        return
    major, minor = (int(part) for part in number.split(".")[:2])
    if (major, minor) < flavour.minimum:
        least = ".".join(map(str, flavour.minimum))
        yield Finding(subject, f"the cluster is {flavour.title} {number}", f"Upgrade it to {least} or later.")


def _cluster(
    client: Client, subject: str, names: Layout, mappings: Mapping[str, Any], settings: Mapping[str, Any]
) -> Iterator[Finding]:
    found = _cluster_settings(client)
    for block in ("read_only", "read_only_allow_delete"):
        if found.get(f"cluster.blocks.{block}") == "true":
            yield Finding(
                subject,
                f"the whole cluster is blocked: cluster.blocks.{block}",
                f'PUT /_cluster/settings {{"persistent": {{"cluster.blocks.{block}": null}}, '
                f'"transient": {{"cluster.blocks.{block}": null}}}}',
            )
    if found.get("cluster.blocks.create_index") == "true":
        yield Finding(
            subject,
            "the cluster creates no index (cluster.blocks.create_index), as it does when disks are full",
            "Free disk space, then "
            'PUT /_cluster/settings {"persistent": {"cluster.blocks.create_index": null}}',
        )


def _cluster_settings(client: Client) -> dict[str, Any]:
    said = client.ask("GET", "/_cluster/settings?include_defaults=true&flat_settings=true") or {}
    return {
        name: value
        for kind in ("defaults", "persistent", "transient")
        for name, value in said.get(kind, {}).items()
    }


def _disks(
    client: Client, subject: str, names: Layout, mappings: Mapping[str, Any], settings: Mapping[str, Any]
) -> Iterator[Finding]:
    path = "/_nodes/stats/fs?filter_path=nodes.*.name,nodes.*.fs.total"
    said = client.ask("GET", path) or {}
    limits = _cluster_settings(client)
    prefix = "cluster.routing.allocation.disk"
    high = str(limits.get(f"{prefix}.watermark.high", ""))
    if limits.get(f"{prefix}.threshold_enabled") == "false" or not high.endswith("%"):
        return
    for node in said.get("nodes", {}).values():
        total = node.get("fs", {}).get("total", {})
        size, free = total.get("total_in_bytes"), total.get("available_in_bytes")
        if size and free is not None and 100 * (1 - free / size) >= float(high[:-1]):
            yield Finding(
                subject,
                f"the disk of {node.get('name')} is {100 * (1 - free / size):.0f} % full, above the high "
                f"watermark of {high}; somewhat more and the cluster blocks its indices for writing",
                "Free disk space or add a node.",
                blocks=False,
            )


def _names(
    client: Client, subject: str, names: Layout, mappings: Mapping[str, Any], settings: Mapping[str, Any]
) -> Iterator[Finding]:
    if problem := standing(client, names).problem(names, client.flavour, creating=False):
        yield Finding(subject, problem.problem, problem.mend, blocks=problem.blocks)


def _declared(
    client: Client, subject: str, names: Layout, mappings: Mapping[str, Any], settings: Mapping[str, Any]
) -> Iterator[Finding]:
    """Has the server judge what is declared, by composing a template that it then throws away."""
    if layout.loses_source(mappings, settings):
        yield Finding(subject, *layout.SOURCE_NEEDED)
    if any(name == META or name.startswith(f"{META}.") for name in fields(mappings)):
        yield Finding(
            subject, f"the mappings declare {META}, which is Lockstep's own", "Give the field another name."
        )
        return
    if str(layout.flat_settings(settings).get("index.translog.durability")).lower() == "async":
        yield Finding(subject, *_ASYNC)
    if mappings.get("_routing", {}).get("required"):
        yield Finding(subject, "the mappings require routing", "Remove `_routing` from the mappings.")
    body = layout.body(names, "check", mappings, settings, searched=False)
    del body["aliases"]
    request = {"index_patterns": [names.index], "priority": 2**31 - 1, "template": body}
    status, answer = client.send("POST", "/_index_template/_simulate", client.content(request))
    if status == 400:
        yield Finding(
            subject,
            f"the cluster does not take the declared mappings or settings: {reason(answer).text}",
            "Change them where the message says; nothing has been created.",
        )
    elif status not in (200, 403, 404, 405):
        raise client.failure(status, answer)


def _live(
    client: Client, subject: str, names: Layout, mappings: Mapping[str, Any], settings: Mapping[str, Any]
) -> Iterator[Finding]:
    """The index that applications search now, if it is there and ours."""
    there = standing(client, names)
    searched = () if there.taken_over else there.searched
    for index in [*searched] or [name for name in there.indices if name == names.index]:
        if there.indices[index] is not None:
            yield from _index(client, subject, index, mappings)


def _index(client: Client, subject: str, index: str, mappings: Mapping[str, Any]) -> Iterator[Finding]:
    said = client.ask("GET", f"/{index}?flat_settings=true&include_defaults=true")
    if said is None or index not in said:
        return
    found = {**said[index].get("defaults", {}), **said[index].get("settings", {})}
    for one in conflicts(mappings, said[index].get("mappings", {})):
        yield Finding(
            subject,
            f"the field {one.field} is declared with {one.what} {one.declared}, "
            f"but in {index} it has {one.what} {one.live}",
            "Declare it as it is, or build a new generation with the declared mappings: lockstep deploy.",
        )
    for block, sign in _BLOCKS.items():
        if found.get(f"index.blocks.{block}") == "true":
            yield Finding(
                subject,
                f"the index {index} is blocked for writing: index.blocks.{block}",
                block_mend(sign, index),
            )
    if str(found.get("index.translog.durability")).lower() == "async":
        yield Finding(subject, *_ASYNC)
    if _seconds(found.get(layout.GC_DELETES)) < _seconds(layout.GC_DELETES_AT_LEAST):
        yield Finding(
            subject,
            f"{index} forgets the version of a deleted document after {found.get(layout.GC_DELETES)}; "
            "an older write that comes later would bring the document back",
            f'PUT /{index}/_settings {{"{layout.GC_DELETES}": "{layout.GC_DELETES_AT_LEAST}"}}',
            blocks=False,
        )
    # 408 says that it is still red after the wait, which a moment after a restart every index is.
    status, answer = client.send("GET", f"/_cluster/health/{index}?wait_for_status=yellow&timeout=3s", None)
    if status == 408 and client.parse(answer).get("status") == "red":
        yield Finding(
            subject,
            f"{index} is red: a primary shard is not assigned, so some keys can be neither read nor written",
            "See GET /_cluster/allocation/explain, or restore the index.",
        )


_ASYNC = (
    "index.translog.durability is async, so an answered write may still be lost in a crash",
    "Use the default, request: only then does applied mean durable.",
)


def _seconds(value: Any) -> float:
    """A time value of the server's; unreadable is as long as need be."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", str(value))
    return float(match[1]) * _SECONDS[match[2]] if match else float("inf")
