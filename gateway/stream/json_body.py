"""Request bodies in JSON: read strictly, asked for fields by name, written again."""

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import orjson

from gateway.content import Content, Document, Purpose
from gateway.errors import CallerError

# What is authorised must be what is sent: a body is parsed once, and what goes on is written from
# that tree, so that doubled keys, comments or trailing data cannot mean one thing here and another
# at the provider. orjson already refuses invalid UTF-8, a byte order mark, lone surrogates, NaN,
# Infinity, trailing data and more than 1,024 levels. It turns integers beyond 64 bits into floats
# without a word; those are refused here.

MOST_ELEMENTS: Final = 2_000_000
"""Most commas and opening brackets in a body, inside strings or not: bounds the parsed tree's memory."""

MODEL_LENGTH: Final = 256
"""Characters in the longest model name a caller may ask for."""

MOST_OUTPUT: Final = 10_000_000
"""Tokens that a caller may allow at most: far above any model's limit, far below an overflow."""

CONTROL_FIELDS: Final = frozenset(
    {
        "_internal", "api_base", "api_key", "base_url", "custom_llm_provider", "fallbacks",
        "mock_response", "user_config",
    }
)  # fmt: skip
"""Fields by which other gateways let a caller choose an address, a key or a provider: never sent on."""

_PARAMETERS: Final = ("", "charset=utf-8", 'charset="utf-8"', "charset=utf8")

_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1
_RUN: Final = b"0" * 19  # the fewest digits of an integer that 64 bits may not hold
_DIGITS: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))


def read_object(content: Content) -> Document:
    """Parse a body that must be one JSON object.

    Raises:
        CallerError: bad_request; about says "json" (not JSON), "object" (JSON, but no object),
            "integer" (an integer beyond 64 bits) or "size" (too many elements).
    """
    body = content.open(Purpose.READ)
    if len(body) > MOST_ELEMENTS and body.count(b",") + body.count(b"[") + body.count(b"{") > MOST_ELEMENTS:
        refuse("size")
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        tree = None
    if type(tree) is not dict:
        refuse("json" if tree is None else "object")
    if body.translate(_DIGITS).find(_RUN) >= 0:
        _check_integers(body)
    if not CONTROL_FIELDS.isdisjoint(tree):
        for name in CONTROL_FIELDS:
            tree.pop(name, None)
    return Document(tree, len(body))


def check_content_type(content_type: str) -> None:
    """Only JSON in UTF-8 is read, and it must be called so.

    Raises:
        CallerError: unsupported_media_type.
    """
    if content_type == "application/json":
        return
    kind, *parameters = content_type.lower().replace(" ", "").split(";")
    if kind != "application/json" or any(part not in _PARAMETERS for part in parameters):
        raise CallerError("unsupported_media_type")


def write_object(tree: Mapping[str, Any]) -> Content:
    """The bytes of a tree that read_object made.

    Raises:
        CallerError: bad_request; about says "levels": orjson reads more of them than it writes (254).
    """
    try:
        return Content(orjson.dumps(tree))
    except orjson.JSONEncodeError:
        refuse("levels")


def refuse(about: str) -> NoReturn:
    """Refuse the call, naming the field at fault.

    Raises:
        CallerError: bad_request, always.
    """
    raise CallerError("bad_request", about=about) from None


def model_in(tree: Mapping[str, Any], field: str = "model") -> str:
    """The model asked for: 1 to 256 printable characters.

    Raises:
        CallerError: it is missing or no such text.
    """
    return check_model(tree.get(field), field)


def check_model(model: object, field: str = "model") -> str:
    """The same for a model that was found elsewhere than in a JSON body."""
    if not isinstance(model, str) or not 0 < len(model) <= MODEL_LENGTH or not model.isprintable():
        refuse(field)
    return model


def flag_in(tree: Mapping[str, Any], field: str) -> bool:
    """A boolean; missing and null are false.

    Raises:
        CallerError: it is something else.
    """
    value = tree.get(field)
    if value is None or value is False:
        return False
    if value is not True:
        refuse(field)
    return True


def count_in(tree: Mapping[str, Any], field: str, most: int, least: int = 1) -> int | None:
    """An integer between least and most; None when missing or null.

    Raises:
        CallerError: it is something else: a boolean, a float, a text, or out of range.
    """
    value = tree.get(field)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= most:
        refuse(field)
    return value


def list_in(tree: Mapping[str, Any], field: str) -> list[Any]:
    """A list; empty when missing or null.

    Raises:
        CallerError: it is something else.
    """
    value = tree.get(field)
    if value is None:
        return []
    if type(value) is not list:
        refuse(field)
    return value


def object_in(tree: Mapping[str, Any], field: str) -> dict[str, Any]:
    """An object; empty when missing or null.

    Raises:
        CallerError: it is something else.
    """
    value = tree.get(field)
    if value is None:
        return {}
    if type(value) is not dict:
        refuse(field)
    return value


def _check_integers(body: bytes) -> None:
    """The slow, exact look at a body with a long run of digits, which may stand in a string or a float."""
    try:
        json.loads(body, parse_int=_check_integer)
    except (ValueError, RecursionError):
        refuse("integer")


def _check_integer(digits: str) -> int:
    if len(digits) > 20 or not _LEAST <= int(digits) <= _MOST:
        raise ValueError("beyond 64 bits")
    return 0
