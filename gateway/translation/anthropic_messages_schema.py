"""JSON schemas in the part of the language that Anthropic enforces."""

from typing import Any, Final

from gateway.names import Slug
from gateway.translation.losses import Losses

# Source: Anthropic's "Structured outputs": objects must be closed, bounds of numbers, texts and lists are
# refused, oneOf is not known. What is refused is told to the model in the description instead.

BOUNDS: Final = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
    "maxItems", "uniqueItems", "minProperties", "maxProperties",
})  # fmt: skip

NAMED: Final = ("properties", "$defs", "definitions")
LISTED: Final = ("anyOf", "allOf", "prefixItems")

MOST_LEVELS: Final = 64
"""Of schemas within schemas. Far more than any provider takes."""


def closed_schema(schema: dict[str, Any], losses: Losses) -> dict[str, Any]:
    """The schema with its objects closed and without what is refused.

    Raises:
        CallerError: cannot_translate, when it is too deep.
    """
    closed: dict[str, Any] = _closed(schema, losses, MOST_LEVELS)
    return closed


def _closed(schema: Any, losses: Losses, levels: int) -> Any:
    if type(schema) is not dict:
        return schema
    if not levels:
        losses.refuse(Slug("format_depth"))
    new = {name: value for name, value in schema.items() if not _is_bound(name, value)}
    if len(new) < len(schema):
        losses.drop(Slug("schema_bounds"))
        _describe(new, {name: value for name, value in schema.items() if name not in new})
    if type(new.get("oneOf")) is list and "anyOf" not in new:
        new["anyOf"] = new.pop("oneOf")
    for name in NAMED:
        if type(new.get(name)) is dict:
            new[name] = {key: _closed(value, losses, levels - 1) for key, value in new[name].items()}
    for name in LISTED:
        if type(new.get(name)) is list:
            new[name] = [_closed(value, losses, levels - 1) for value in new[name]]
    for name in ("items", "additionalProperties"):
        if type(new.get(name)) is dict:
            new[name] = _closed(new[name], losses, levels - 1)
    if new.get("type") == "object" or "properties" in new:
        new.setdefault("additionalProperties", False)
    return new


def _is_bound(name: str, value: Any) -> bool:
    return name in BOUNDS or (name == "minItems" and value not in (0, 1))


def _describe(schema: dict[str, Any], bounds: dict[str, Any]) -> None:
    words = ", ".join(f"{name}: {value}" for name, value in bounds.items())
    text = schema.get("description")
    schema["description"] = f"{text} ({words})" if type(text) is str and text else words
