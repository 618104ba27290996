"""Text that is never kept: prompts, answers, tool arguments, secrets, addresses.

Each of these types can be measured and handed on. It cannot be printed, formatted, compared,
hashed, iterated, copied, pickled or turned into JSON; open() is the only way in, and every call of
open() names its purpose, so that a scan of the source shows who looks at what.
"""

from enum import StrEnum
from typing import Any, Final, Never, NoReturn


class Purpose(StrEnum):
    """Why content is opened."""

    READ = "read"  # a dialect reads what a call asks for
    CLASSIFY = "classify"  # a classifier names the task
    AFFINITY = "affinity"  # the beginning of a prompt is digested, so that like calls go to one place
    BOUND = "bound"  # the estimator measures the text
    SEND = "send"  # the bytes go to the provider
    METER = "meter"  # the usage is read from an answer
    FAILURE = "failure"  # a provider's error is classified
    RELAY = "relay"  # the bytes go to the client
    ANSWER = "answer"  # a provider that answers from itself reads the call
    AUTH = "auth"  # a secret or an address is checked
    TRANSLATE = "translate"  # a call or an answer changes its dialect


class _Sealed:
    """What all unprintable types share: they tell their size and refuse everything else."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} can only be opened for a purpose")

    def __str__(self) -> str:
        self._refuse()

    def __format__(self, spec: str) -> str:
        self._refuse()

    def __bytes__(self) -> bytes:
        self._refuse()

    def __iter__(self) -> Never:
        self._refuse()

    def __eq__(self, other: object) -> bool:
        self._refuse()

    def __copy__(self) -> Never:
        self._refuse()

    def __deepcopy__(self, memo: object) -> Never:
        self._refuse()

    def __reduce_ex__(self, protocol: object) -> Never:
        self._refuse()


class Content(_Sealed):
    """Bytes of a call or an answer."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._data)

    def open(self, purpose: Purpose) -> bytes:
        """The bytes themselves."""
        return self._data

    def __repr__(self) -> str:
        return f"<content of {len(self._data)} bytes>"


class Document(_Sealed):
    """A parsed JSON object of a call, with the size of the bytes it came from."""

    __slots__ = ("_tree", "size")

    def __init__(self, tree: dict[str, Any], size: int) -> None:
        self._tree = tree
        self.size = size

    def open(self, purpose: Purpose) -> dict[str, Any]:
        """The parsed object. Whoever changes it changes it for everybody: make a shallow copy."""
        return self._tree

    def __repr__(self) -> str:
        return f"<document of {self.size} bytes>"


class Secret(_Sealed):
    """A key: ours, a caller's or a provider's."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def open(self, purpose: Purpose) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "<secret>"


EMPTY: Final = Content(b"")
