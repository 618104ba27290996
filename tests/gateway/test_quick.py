import inspect
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from gateway.quick import quick
from gateway.records import Record
from gateway.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    name: str
    size: int = 3
    parts: tuple[str, ...] = ()
    extra: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("negative")


Quick = quick(
    dataclass(frozen=True, slots=True, kw_only=True)(
        type("Quick", (), {name: value for name, value in vars(Slow).items() if name == "__post_init__"}
             | {"__annotations__": Slow.__annotations__, "size": 3, "parts": (),
                "extra": field(default_factory=dict)})
    )
)  # fmt: skip


@quick
@dataclass(frozen=True, slots=True)
class Placed:
    left: int
    right: int = 2


def test_arguments_and_defaults_are_those_of_the_dataclass() -> None:
    slow, fast = Slow(name="one"), Quick(name="one")
    for name in ("name", "size", "parts", "extra"):
        assert getattr(fast, name) == getattr(slow, name)
    kinds = [(one.name, one.kind) for one in inspect.signature(Slow).parameters.values()]
    assert [(one.name, one.kind) for one in inspect.signature(Quick).parameters.values()] == kinds


def test_an_object_is_frozen_when_it_is_made() -> None:
    fast = Quick(name="one")
    assert type(fast) is Quick
    with pytest.raises(FrozenInstanceError):
        fast.size = 4
    with pytest.raises((AttributeError, TypeError)):
        fast.other = 4


def test_each_object_gets_a_default_of_its_own() -> None:
    assert Quick(name="one").extra is not Quick(name="two").extra


def test_checks_after_construction_are_made() -> None:
    with pytest.raises(ValueError, match="negative"):
        Quick(name="one", size=-1)
    with pytest.raises(TypeError):
        Record(id="not a slug", at=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no count"):
        Usage(input=-1)


def test_all_values_are_checked_together_before_there_is_an_object() -> None:
    seen: list[tuple[object, ...]] = []

    @quick
    @dataclass(frozen=True, slots=True)
    class Checked:
        name: str
        size: int = 3
        parts: list[str] = field(default_factory=list)

        @staticmethod
        def check_all(values: tuple[object, ...]) -> None:
            seen.append(values)
            if values[1] == 4:
                raise ValueError("four")

    made = Checked("one")
    assert seen == [("one", 3, [])]
    assert seen[0][2] is made.parts
    with pytest.raises(ValueError, match="four"):
        replace(made, size=4)


def test_missing_and_unknown_arguments_are_refused() -> None:
    with pytest.raises(TypeError):
        Quick()
    with pytest.raises(TypeError):
        Quick(name="one", colour="red")
    with pytest.raises(TypeError):
        Quick("one")


def test_positions_work_where_the_dataclass_has_them() -> None:
    assert Placed(1) == Placed(left=1, right=2)
    assert replace(Placed(1), right=5) == Placed(1, 5)
    assert hash(Placed(1)) == hash(Placed(1, 2))


def test_a_class_with_bases_or_hidden_fields_is_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class Inner:
        hidden: int = field(init=False, default=1)

    @dataclass(frozen=True, slots=True)
    class Derived(Placed):
        more: int = 1

    for kind in (Inner, Derived):
        with pytest.raises(TypeError, match="plain"):
            quick(kind)
