"""A minimal value that a JSON schema accepts: arguments of tool calls and structured answers."""

from typing import Any, Final

_DEEPEST: Final = 24
_MOST: Final = 1000
"""Values that are made for one schema; what lies beyond is null."""

_LONGEST: Final = 1000
"""Characters of the text that a string says."""

_FORMATS: Final = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "echo@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def instance(schema: Any, text: str) -> Any:
    """A value for the schema; free strings in it say the text. Type names may be in upper case (Gemini)."""
    return _Maker(schema, text).make(schema, 0)


class _Maker:
    def __init__(self, root: Any, text: str) -> None:
        self._root = root
        self._text = text[:_LONGEST]
        self._left = _MOST

    def make(self, schema: Any, depth: int) -> Any:
        self._left -= 1
        if not isinstance(schema, dict) or depth > _DEEPEST or self._left < 0:
            return None
        if "$ref" in schema:
            return self.make(self._follow(str(schema["$ref"])), depth + 1)
        for fixed in ("const", "default"):
            if fixed in schema:
                return schema[fixed]
        if schema.get("enum"):
            return schema["enum"][0]
        for several in ("anyOf", "oneOf"):
            if schema.get(several):
                return self.make(schema[several][0], depth + 1)
        if schema.get("allOf"):
            return self._merged(schema["allOf"], depth)
        return self._typed(schema, depth)

    def _typed(self, schema: dict[str, Any], depth: int) -> Any:
        kind = schema.get("type") or ("object" if "properties" in schema else "null")
        if isinstance(kind, list):
            kind = kind[0] if kind else "null"
        match str(kind).lower():
            case "object":
                properties = schema.get("properties") or {}
                names = schema.get("required") or ()
                return {name: self.make(properties.get(name), depth + 1) for name in names}
            case "array":
                few = max(0, int(schema.get("minItems") or 0))
                return [self.make(schema.get("items"), depth + 1) for _ in range(min(few, 16))]
            case "string":
                return self._string(schema)
            case "integer":
                return int(_number(schema))
            case "number":
                return _number(schema)
            case "boolean":
                return True
        return None

    def _string(self, schema: dict[str, Any]) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        low = min(int(schema.get("minLength") or 0), 10_000)
        high = int(schema.get("maxLength") or 10_000)
        return self._text.ljust(low, ".")[:high]

    def _merged(self, parts: list[Any], depth: int) -> Any:
        values = [self.make(part, depth + 1) for part in parts]
        if all(isinstance(value, dict) for value in values):
            return {name: held for value in values for name, held in value.items()}
        return values[0]

    def _follow(self, reference: str) -> Any:
        place = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                place = place.get(step) if isinstance(place, dict) else None
        return place


def _number(schema: dict[str, Any]) -> float | int:
    step = schema.get("multipleOf") or 1
    least = schema.get("minimum")
    above = schema.get("exclusiveMinimum")
    most = schema.get("maximum")
    if isinstance(above, int | float) and not isinstance(above, bool):
        return above - above % step + step
    if isinstance(least, int | float) and least > 0:
        return least + -least % step
    if isinstance(most, int | float) and most < 0:
        return most - most % step
    return step if (least is None or least <= step) and (most is None or most >= step) else 0
