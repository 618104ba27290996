"""Gemini's own form of schema, after OpenAPI 3.0, turned into a JSON schema."""

from typing import Any, Final

from gateway.stream.json_body import refuse
from gateway.translation.gemini_generate_fields import camel

# Source: Gemini API reference, Schema; OpenAPI Specification 3.0.3, Schema Object; JSON Schema 2020-12.

MOST_LEVELS: Final = 64
"""Levels of a schema. Deeper ones are refused."""

_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_NESTED: Final = frozenset({"items", "additionalProperties", "not"})
_LISTED: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NAMED: Final = frozenset({"properties", "defs", "$defs", "definitions", "patternProperties"})
_COUNTS: Final = frozenset(
    {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}
)
_RENAMED: Final = {"defs": "$defs", "ref": "$ref"}
_VERBATIM: Final = frozenset({"default", "const", "enum", "required"})


def to_json_schema(schema: Any, levels: int = MOST_LEVELS) -> Any:
    """The same schema in JSON Schema's words.

    Raises:
        CallerError: bad_request: it is no schema.
    """
    if type(schema) is bool:
        return schema
    if type(schema) is not dict or levels <= 0:
        refuse("schema")
    made: dict[str, Any] = {}
    nullable = False
    order: Any = None
    for key, value in schema.items():
        name = camel(key)
        if name == "nullable":
            nullable = value is True
        elif name == "propertyOrdering":
            order = value
        else:
            _put(made, name, value, levels)
    if made.get("format") == "enum":
        del made["format"]
    if type(order) is list:
        _put_in_order(made, order)
    return _with_null(made) if nullable else made


def _put(made: dict[str, Any], name: str, value: Any, levels: int) -> None:
    """Take over one keyword."""
    if name == "type":
        if value is not None and (kind := _kind(value)):
            made["type"] = kind
    elif name == "example":
        made["examples"] = [value]
    elif name in _NESTED and value is not None:
        made[name] = to_json_schema(value, levels - 1)
    elif name in _LISTED and type(value) is list:
        made[name] = [to_json_schema(one, levels - 1) for one in value]
    elif name in _NAMED and type(value) is dict:
        made[_RENAMED.get(name, name)] = {key: to_json_schema(one, levels - 1) for key, one in value.items()}
    elif name in _COUNTS and type(value) is str and value.isascii() and value.isdecimal() and len(value) < 18:
        made[name] = int(value)
    elif value is not None or name in _VERBATIM:
        made[_RENAMED.get(name, name)] = value


def _kind(value: Any) -> Any:
    """A type's name, or several, in lower case; empty when it is not specified."""
    if type(value) is list:
        return [_kind(one) for one in value]
    if type(value) is not str:
        refuse("schema")
    kind = value.lower()
    if kind == "type_unspecified":
        return ""
    if kind not in _TYPES:
        refuse("schema")
    return kind


def _put_in_order(made: dict[str, Any], order: list[Any]) -> None:
    properties = made.get("properties")
    if type(properties) is dict:
        first = [name for name in order if type(name) is str and name in properties]
        made["properties"] = {name: properties[name] for name in dict.fromkeys([*first, *properties])}


def _with_null(made: dict[str, Any]) -> dict[str, Any]:
    """The same schema, that takes null as well."""
    kind = made.get("type")
    if kind is None:
        if "anyOf" in made:
            return {**made, "anyOf": [*made["anyOf"], {"type": "null"}]}
        return made if "$ref" not in made else {"anyOf": [made, {"type": "null"}]}
    kinds = kind if type(kind) is list else [kind]
    made["type"] = kinds if "null" in kinds else [*kinds, "null"]
    if type(made.get("enum")) is list and None not in made["enum"]:
        made["enum"] = [*made["enum"], None]
    return made
