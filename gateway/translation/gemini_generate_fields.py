"""Fields of a Gemini request: each name has two spellings, and numbers may come as text."""

import math
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from gateway.dialects.gemini_wire import either
from gateway.stream.json_body import refuse
from gateway.translation.gemini_generate_losses import lose
from gateway.translation.losses import Losses

# Source: Protocol Buffers, JSON mapping: names in lowerCamelCase or as they stand in the definition,
# numbers also as text, null as if the field were not there, bytes in either alphabet of base64.

_whole = re.compile(r"-?[0-9]{1,18}").fullmatch
_real = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?").fullmatch

STANDARD = str.maketrans("-_", "+/")


@lru_cache(256)
def snake(name: str) -> str:
    """A name's other spelling."""
    return re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)


@lru_cache(256)
def camel(name: str) -> str:
    """The spelling in use of a name in either one."""
    return re.sub("_([a-z])", lambda found: found[1].upper(), name)


def value_of(tree: Mapping[str, Any], name: str) -> Any:
    """A field in either spelling; None when it is missing.

    Raises:
        CallerError: bad_request: it is there in both spellings.
    """
    other = snake(name)
    return either(tree, name, other) if other in tree and other != name else tree.get(name)


def object_of(tree: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """An object, or None.

    Raises:
        CallerError: bad_request: it is something else.
    """
    value = value_of(tree, name)
    if value is not None and type(value) is not dict:
        refuse(name)
    return value


def list_of(tree: Mapping[str, Any], name: str) -> list[Any]:
    """A list; empty when missing. A lone object counts as a list of one, as Google takes it.

    Raises:
        CallerError: bad_request: it is something else.
    """
    value = value_of(tree, name)
    if value is None:
        return []
    if type(value) is dict:
        return [value]
    if type(value) is not list:
        refuse(name)
    return value


def objects_of(tree: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects.

    Raises:
        CallerError: bad_request: it is something else.
    """
    values = list_of(tree, name)
    if any(type(value) is not dict for value in values):
        refuse(name)
    return values


def texts_of(tree: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of texts.

    Raises:
        CallerError: bad_request: it is something else.
    """
    values = list_of(tree, name)
    if any(type(value) is not str for value in values):
        refuse(name)
    return tuple(values)


def text_of(tree: Mapping[str, Any], name: str) -> str:
    """A text; empty when missing.

    Raises:
        CallerError: bad_request: it is something else.
    """
    value = value_of(tree, name)
    if value is None:
        return ""
    if type(value) is not str:
        refuse(name)
    return value


def bytes_of(tree: Mapping[str, Any], name: str) -> str:
    """Bytes in the usual alphabet of base64, which other dialects insist on; empty when missing.

    Raises:
        CallerError: bad_request: it is no text.
    """
    return text_of(tree, name).translate(STANDARD)


def flag_of(tree: Mapping[str, Any], name: str) -> bool | None:
    """A boolean, or None.

    Raises:
        CallerError: bad_request: it is something else.
    """
    value = value_of(tree, name)
    if value is not None and type(value) is not bool:
        refuse(name)
    return value


def real_of(tree: Mapping[str, Any], name: str) -> float | None:
    """A number, or None.

    Raises:
        CallerError: bad_request: it is something else.
    """
    value = value_of(tree, name)
    if value is None:
        return None
    if type(value) is str and _real(value) is not None:
        value = float(value)
    if type(value) not in (int, float) or not math.isfinite(value):
        refuse(name)
    return value  # type: ignore[no-any-return]


def whole_of(tree: Mapping[str, Any], name: str) -> int | None:
    """A number without a fraction, or None.

    Raises:
        CallerError: bad_request: it is something else.
    """
    value = value_of(tree, name)
    if value is None:
        return None
    if type(value) is str and _whole(value) is not None:
        value = int(value)
    if type(value) is float and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if type(value) is not int:
        refuse(name)
    return value


def word_of(tree: Mapping[str, Any], name: str) -> str:
    """A word of a fixed list, in upper case; empty when missing or not specified.

    Raises:
        CallerError: bad_request: it is no text.
    """
    word = text_of(tree, name).upper()
    return "" if word.endswith("UNSPECIFIED") else word


def look_over(
    tree: Mapping[str, Any], known: Collection[str], lost: Collection[str], losses: Losses, other: str
) -> None:
    """Drop or refuse what is there besides the fields that are read.

    Args:
        known: fields that are read elsewhere.
        lost: fields that have a name of their own among the losses.
        other: the name for all others.

    Raises:
        CallerError: cannot_translate, if one of them is refused.
    """
    for key, value in tree.items():
        name = camel(key)
        if name not in known and value is not None and value != [] and value is not False:
            lose(losses, name if name in lost else other)
