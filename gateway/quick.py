"""quick: gives a frozen dataclass a constructor that is as fast as that of a plain class.

A frozen dataclass sets each field by object.__setattr__, which looks the field up by its name: a
record of fifty fields takes 14 µs that way. The constructor made here lets the new object be of a twin
class for a moment, which has the same slots and is not frozen, so that fields are plain assignments:
0.7 µs. Nobody else has the object yet, so nobody can see it unfrozen.
"""

from dataclasses import MISSING, fields
from typing import Any, TypeVar

T = TypeVar("T")


def quick(kind: type[T]) -> type[T]:
    """Replace the constructor of a frozen dataclass with slots, kept to keywords or not, by a quick one.

    Arguments, defaults and __post_init__ stay as they are. A class may have a static method check_all
    instead, which is given all values in the order of the fields, before there is an object: that is
    quicker than to ask the object for each. To be written above @dataclass.

    Raises:
        TypeError: the class has bases or fields that this cannot serve.
    """
    known = fields(kind)  # type: ignore[arg-type]
    if kind.__bases__ != (object,) or not all(field.init for field in known):
        raise TypeError("not a plain dataclass")
    twin = type(kind.__name__, (), {"__slots__": kind.__dict__["__slots__"]})
    names: dict[str, Any] = {"thaw": object.__setattr__, "Twin": twin, "Kind": kind}
    before: list[str] = []
    after: list[str] = []
    first: list[str] = []
    body: list[str] = []
    for field in known:
        text = field.name
        if field.default is not MISSING:
            names[f"default_{field.name}"] = field.default
            text = f"{field.name}=default_{field.name}"
        elif field.default_factory is not MISSING:
            names[f"make_{field.name}"], names["MISSING"] = field.default_factory, MISSING
            text = f"{field.name}=MISSING"
            first.append(f"    if {field.name} is MISSING: {field.name} = make_{field.name}()\n")
        (after if field.kw_only else before).append(text)
        body.append(f"    self.{field.name} = {field.name}\n")
    arguments = ["self", *before, *(["*", *after] if after else [])]
    lines = [f"def __init__({', '.join(arguments)}):\n", *first]
    if hasattr(kind, "check_all"):
        names["check"] = kind.check_all  # type: ignore[attr-defined]
        lines.append(f"    check(({''.join(f'{field.name}, ' for field in known)}))\n")
    lines += ["    thaw(self, '__class__', Twin)\n", *body]
    lines.append("    self.__class__ = Kind\n")
    if hasattr(kind, "__post_init__"):
        lines.append("    self.__post_init__()\n")
    exec("".join(lines), names)  # noqa: S102 - names of fields only, as dataclasses itself does it
    made = names["__init__"]
    made.__qualname__ = f"{kind.__qualname__}.__init__"
    made.__annotations__ = kind.__init__.__annotations__
    kind.__init__ = made  # type: ignore[method-assign]
    return kind
