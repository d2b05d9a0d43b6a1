"""GET /v1/describe, which objects there are; GET /v1/describe/{object}, the fields of one. Both are XML.

Of a field, name, label, type, options and contexts are documented. The documents call the rest legacy and
name none of it: its names, the list, and related objects are those that public clients read.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from ..engine.tree import Refused
from . import described
from .call import Answer, Call

_XML = "text/xml; charset=utf-8"


def listed(call: Call) -> Answer:
    parts = [
        f"<object href={_href(call, name)}><name>{name}</name><label>{_spaced(name)}</label></object>"
        for name in described.OBJECTS
    ]
    return _xml("<objects>", *parts, "</objects>")


def read(call: Call) -> Answer:
    object = call.params["object"]
    if object not in described.OBJECTS:
        raise Refused(40, f"Cannot find object {object!r}.")
    call.tenant.assert_may_read(object)
    parts = [f"<object href={_href(call, object)}>", _text("name", object), _text("label", _spaced(object))]
    parts.append("<fields>")
    for one in described.fields(object):
        options = described.OPTIONS.get(f"{object}.{one.name}") or described.OPTIONS.get(one.name, ())
        flags = (one.createable, one.updateable, False, one.required)
        name = one.name[0].upper() + one.name[1:]
        parts += _field(name, _spaced(name), one.type, options, flags, 255)
    for name, own in (call.tenant.settings.custom_fields or {}).get(object, {}).items():
        flags = (True, True, True, own.required)
        label = own.label or name.removesuffix("__c")
        parts += _field(name, label, own.type, own.options, flags, own.max_length or 255)
    parts.append("</fields><related-objects>")
    shows = call.one("showRelationships") == "true"
    for alias, of in described.related(object):
        more = (
            "<cardinality>TO_ONE</cardinality><direct-relationship>true</direct-relationship>"
            if shows
            else ""
        )
        name = _text("name", alias) + _text("label", _spaced(alias))
        parts.append(f"<object href={_href(call, of)}>{name}{more}</object>")
    return _xml(*parts, "</related-objects></object>")


def _field(
    name: str,
    label: str,
    type: str,
    options: tuple[str, ...],
    flags: tuple[bool, bool, bool, bool],
    most: int,
) -> list[str]:
    said = dict(zip(("createable", "updateable", "custom", "required"), flags, strict=True))
    parts = ["<field>", _text("name", name), _text("label", label), "<selectable>true</selectable>"]
    parts += [_text(one, "true" if value else "false") for one, value in said.items()]
    parts += ["<filterable>true</filterable>", _text("maxlength", str(most)), _text("type", type)]
    if type == "picklist":
        parts += ["<options>", *(_text("option", one) for one in options), "</options>"]
    return [*parts, "<contexts><context>soap</context><context>export</context></contexts></field>"]


def _xml(*parts: str) -> Answer:
    body = '<?xml version="1.0" encoding="UTF-8"?>\n' + "".join(parts)
    return Answer(body.encode(), headers={"Content-Type": _XML})


def _text(tag: str, words: str) -> str:
    return f"<{tag}>{escape(words)}</{tag}>"


def _href(call: Call, object: str) -> str:
    return quoteattr(f"{call.headers.get('x-base', '')}/v1/describe/{object}")


def _spaced(name: str) -> str:
    """As the vendor's own UI would have it: BillToContact is Bill To Contact."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
