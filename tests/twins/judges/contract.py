"""Run by the interpreter that has `jsonschema`: checks a tour on standard input against an OpenAPI file.

The file is older than the API: endpoints that it lacks are listed, not judged. A null counts as a field that
is not there, as the file says of no field that it may be null and its own examples have nulls.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    registry: Any = Registry().with_resource("urn:spec", Resource(contents=spec, specification=DRAFT4))
    paths = [
        (re.compile(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(path))), path.count("{"), item, path)
        for path, item in spec["paths"].items()
    ]
    paths.sort(key=lambda one: one[1])
    wrong, judged, absent = [], 0, set()
    for record in json.load(sys.stdin):
        found = [
            (item[record["method"].lower()], path)
            for pattern, _, item, path in paths
            if record["method"].lower() in item and pattern.fullmatch(record["path"])
        ]
        if not found:
            absent.add(f"{record['method']} {record['path'].split('/')[1]}/{record['path'].split('/')[2]}")
            continue
        operation, path = found[0]
        refused = isinstance(record["body"], dict) and record["body"].get("success") is False
        both = [("request", operation.get("requestBody"), None if refused else record["sent"])]
        both.append(("answer", operation["responses"].get(str(record["status"])), record["body"]))
        for what, said, value in both:
            if said is None or value is None:
                continue
            part = resolved(spec, said).get("content", {}).get("application/json; charset=utf-8")
            part = part or resolved(spec, said).get("content", {}).get("application/json")
            if part is None:
                continue
            schema = located(part["schema"])
            judged += 1
            for error in Draft4Validator(schema, registry=registry).iter_errors(without_nulls(value)):
                at = "/".join(str(one) for one in error.absolute_path)
                at = re.sub(r"\d+", "n", at)
                wanted = (
                    f"{error.validator} {error.validator_value}"
                    if error.validator == "type"
                    else error.validator
                )
                wrong.append(f"{record['method']} {path} {what} at {at}: {wanted}")
    json.dump({"judged": judged, "wrong": sorted(set(wrong)), "absent": sorted(absent)}, sys.stdout)


def resolved(spec: Any, value: Any) -> Any:
    while "$ref" in value:
        node = spec
        for name in value["$ref"].removeprefix("#/").split("/"):
            node = node[name.replace("~1", "/")]
        value = node
    return value


def located(schema: Any) -> Any:
    """With references into the file, wherever the schema is looked at from."""
    if isinstance(schema, dict):
        return {
            name: f"urn:spec{one}" if name == "$ref" and isinstance(one, str) else located(one)
            for name, one in schema.items()
        }
    return [located(one) for one in schema] if isinstance(schema, list) else schema


if __name__ == "__main__":
    main()
