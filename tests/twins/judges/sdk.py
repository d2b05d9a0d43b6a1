"""Run by the interpreter that has `zuora-sdk`: reads a tour on standard input, says what is wrong.

Each answer is parsed by the model that the SDK has for its endpoint, as found in its source. A field
that the model does not know is named too: a misspelt one would else go by unseen. Then the SDK's client is
tried, with the arguments.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zuora_sdk

from tests.twins.judges import client


def endpoints() -> list[tuple[str, re.Pattern[str], dict[str, str]]]:
    """(method, path, model by status) of everything the SDK can call."""
    found = []
    for file in sorted((Path(zuora_sdk.__file__).parent / "api").glob("*_api.py")):
        source = file.read_text("utf-8")
        models = {}
        for name, types in re.findall(
            r"def (\w+)_with_http_info\(.*?_response_types_map[^{]*\{(.*?)\}", source, re.DOTALL
        ):
            models[name] = dict(re.findall(r"'(\d+)': \"(\w+)\"", types))
        for name, method, path in re.findall(
            r"def _(\w+)_serialize\(.*?method='(\w+)',\s*resource_path='([^']+)'", source, re.DOTALL
        ):
            pattern = "".join(
                "[^/]+" if part.startswith("{") else re.escape(part)
                for part in re.split(r"(\{[^}]+\})", path)
            )
            found.append((method, re.compile(pattern), models.get(name, {})))
    return found


def unknown(value: Any, where: str) -> Iterator[str]:
    """The fields in a parsed answer for which the models have no place, custom ones aside."""
    if isinstance(value, list):
        for one in value:
            yield from unknown(one, f"{where}[]")
    elif hasattr(type(value), "model_fields"):
        for name in getattr(value, "additional_properties", None) or {}:
            if not name.endswith("__c"):
                yield f"{where}.{name}"
        for name, field in type(value).model_fields.items():
            if name != "additional_properties":
                yield from unknown(getattr(value, name), f"{where}.{field.alias or name}")
        if getattr(value, "actual_instance", None) is not None:
            yield from unknown(value.actual_instance, where)


def main() -> None:
    known = endpoints()
    wrong, parsed, strangers = [], 0, set()
    for record in json.load(sys.stdin):
        said = f"{record['method']} {record['path']}"
        models = [
            types
            for method, pattern, types in known
            if method == record["method"] and pattern.fullmatch(record["path"])
        ]
        if not models:
            wrong.append(f"{said}: the SDK has no such endpoint")
            continue
        # Where a fixed path and one with a parameter fit, the first is meant; both models may be tried.
        names = [types[str(record["status"])] for types in models if str(record["status"]) in types]
        problems = []
        for name in names:
            try:
                if name == "str":  # XML: by its definition a text. Its client refuses to read it as one
                    assert isinstance(record["body"], str)
                    parsed += 1
                    break
                model = getattr(zuora_sdk, name).from_dict(record["body"])
            except Exception as error:
                problems.append(f"{said}: {name}: {str(error)[:400]}")
                continue
            parsed += 1
            strangers |= set(unknown(model, name))
            break
        else:
            wrong += problems
    found = {
        "parsed": parsed,
        "wrong": wrong,
        "unknown": sorted(strangers),
        "seen": client.seen(*sys.argv[1:]),
    }
    json.dump(found, sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # the client has a thread that renews its token for ever


if __name__ == "__main__":
    main()
