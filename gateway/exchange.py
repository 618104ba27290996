"""Exchange: one call on its way through the stages, and the facts that each stage fills in once."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from gateway.content import Content, Secret
from gateway.contracts import Call, Caller, Exit, Labels, Meter, Permit, Provider, Sink
from gateway.errors import Failure, GatewayError
from gateway.names import UNKNOWN, Slug
from gateway.quick import quick
from gateway.usage import Nanos, Price, Reading

T = TypeVar("T")

NO_CHAINS: "Final[Mapping[Failure, tuple[Target, ...]]]" = MappingProxyType({})


class Fact(Generic[T]):
    """A field of an Exchange that is filled once; reading it earlier is an error of the program."""

    __slots__ = ()

    def __set_name__(self, owner: type, name: str) -> None:
        put = owner.__dict__["_" + name].__set__

        def fill(exchange: "Exchange", value: T) -> None:
            if name in exchange._filled:
                raise LookupError(f"{name} was filled before")
            exchange._filled.add(name)
            put(exchange, value)

        # Read in C; a slot that is not filled yet ends in Exchange.__getattr__.
        setattr(owner, name, property(attrgetter("_" + name), fill))

    if TYPE_CHECKING:  # what the property does

        def __get__(self, exchange: "Exchange", owner: type) -> T: ...
        def __set__(self, exchange: "Exchange", value: T) -> None: ...


class NotKnown(AttributeError, LookupError):
    """A fact was read before the stage that fills it."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A model at a provider.

    Attributes:
        name: "provider/model" as records show it.
        model: the model's name as the provider knows it.
        exit: the way to the provider.
        price: as of now; None when not known.
        policy: what the provider does with content, as a floor that it satisfies; None when not known.
    """

    name: Slug
    provider_name: Slug
    provider: Provider
    model: str
    exit: Exit
    price: Price | None = None
    tier: Slug | None = None
    policy: Slug | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Targets in the order to ask them, and why.

    Attributes:
        requested: what the caller named, if that is a real model.
        asked: the name for the record: the model as the configuration or the catalogue knows it.
        baseline: what the saving is measured against: the requested model, or the declared one.
        chains: the targets that follow after a failure of that kind, in place of the rest of targets.
        allow_costlier: a target on which the call can cost more than on the first may be fallen back to.
    """

    targets: tuple[Target, ...]
    reason: Slug
    requested: Target | None = None
    asked: Slug = UNKNOWN
    baseline: Target | None = None
    chains: Mapping[Failure, tuple[Target, ...]] = field(default_factory=lambda: NO_CHAINS)
    allow_costlier: bool = False


class Attempt:
    """One request to one target.

    code is "cut" until something better is known, so that a cancellation needs no path of its own.
    reading is what an answer that came to its end used, once somebody has asked, and charge what that
    cost: the ledger's own. first_byte_ns is when the answer's body began.
    """

    __slots__ = (
        "charge", "code", "credential", "first_byte_ns", "meter", "reading", "sent_ns", "status", "target",
    )  # fmt: skip

    def __init__(self, target: Target, meter: Meter, credential: Slug | None, sent_ns: int) -> None:
        self.target = target
        self.meter = meter
        self.credential = credential
        self.sent_ns = sent_ns
        self.first_byte_ns: int | None = None
        self.code = CUT
        self.reading: Reading | None = None
        self.charge: Any = None
        self.status: int | None = None


CUT: Final = Slug("cut")
OK: Final = Slug("ok")


Estimate = Callable[[Call, Target], Nanos | None]
"""The most that a call can cost on a target, in nano-dollars; None when no price is known."""


class Exchange:
    """One call. Stages talk through it and through nothing else.

    Attributes:
        id: the request id, ours.
        at_us: Unix time of arrival; began_ns and the other ticks: monotonic nanoseconds.
        client: where the answer goes.
        presented: the key that came with the call.
        peer: the caller's address, for network scopes; never kept.
        read: reads the body and understands it; awaited by auth once the key is known.
        prefers: the provider that the path speaks for, when a model's name alone leaves it open.
        error: what ended the call, if it did not end well.
        labelling: names the call's labels when they are needed. A classifier takes longer than all other
            stages, and most calls need their label only for the record: it works while the provider does.
    """

    __slots__ = (
        "_call", "_caller", "_filled", "_hold", "_labels", "_plan",
        "at_us", "attempts", "began_ns", "client", "error", "first_byte_ns", "id", "labelling", "peer",
        "prefers", "presented", "read", "sent_ns",
    )  # fmt: skip

    _call: Call
    _caller: Caller
    _labels: Labels
    _plan: Plan
    _hold: Permit

    call: Fact[Call] = Fact()
    caller: Fact[Caller] = Fact()
    labels: Fact[Labels] = Fact()
    plan: Fact[Plan] = Fact()
    hold: Fact[Permit] = Fact()

    def __init__(
        self, id: Slug, at_us: int, began_ns: int, client: Sink, presented: Secret | None, peer: Content
    ) -> None:
        self._filled: set[str] = set()
        self.id = id
        self.at_us = at_us
        self.began_ns = began_ns
        self.client = client
        self.presented = presented
        self.peer = peer
        self.attempts: list[Attempt] = []
        self.read: Callable[[], Awaitable[Call]] | None = None
        self.prefers: Slug | None = None
        self.error: GatewayError | None = None
        self.labelling: Callable[[Call], Labels] | None = None
        self.sent_ns: int | None = None
        self.first_byte_ns: int | None = None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Called for what is not there: a fact that no stage has filled."""
            if name == "_labels" and self.labelling is not None:
                self.label()
                return self._labels
            raise NotKnown(f"{name.removeprefix('_')} is not known yet")

    def label(self) -> None:
        """Fill labels now, if they are still to be named."""
        labelling, self.labelling = self.labelling, None
        if labelling is not None:
            self.labels = labelling(self.call)

    def known(self, fact: str) -> Any:
        """A fact's value, or None when no stage has filled it: for the record, which is always made."""
        return getattr(self, "_" + fact, None)

    def all_known(self) -> tuple[Caller | None, Call | None, Labels | None, Plan | None, Permit | None]:
        """The same of caller, call, labels, plan and hold."""
        try:
            return self._caller, self._call, self._labels, self._plan, self._hold
        except AttributeError:
            known = self.known
            return known("caller"), known("call"), known("labels"), known("plan"), known("hold")
