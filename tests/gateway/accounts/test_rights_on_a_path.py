"""Random trees, scopes and keys: a key may do exactly what every level on its path allows."""

from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_address, ip_network

from hypothesis import event, given, settings
from hypothesis import strategies as st

from gateway.accounts import grammar, keys, scopes, tree
from gateway.accounts.directory import Directory
from gateway.content import Content, Document, Purpose
from gateway.contracts import Accounts, Call, KeyRow, NodeRow, Rights, ScopeRow, Shape, Tags
from gateway.names import Slug
from gateway.records import PathKind

# What a level allows is decided here anew, from the text of its scopes alone, so that the test and
# the code can be wrong in different ways only.

PEPPER = bytes(range(32))
NOW_MS = 1_700_000_000_000
MOST_LEVELS = 6
"""Nodes on a path, the root included; the key is one level more."""

KINDS = {
    tree.PLATFORM: (tree.RESELLER, tree.ORGANISATION, tree.PROJECT),
    tree.RESELLER: (tree.RESELLER, tree.ORGANISATION, tree.PROJECT),
    tree.ORGANISATION: (tree.ORGANISATION, tree.PROJECT),
    tree.PROJECT: (),
}

MODELS = ["gpt-4o", "gpt-4o-mini", "gpt-5", "claude-4", "auto"]
PROVIDERS = ["openai", "groq", "anthropic"]
PATHS = [PathKind.CHAT, PathKind.EMBEDDINGS, PathKind.MESSAGES]
ENVIRONMENTS = ["prod", "test"]
ADDRESSES = ["10.0.0.1", "10.1.0.1", "192.0.2.7", "2001:db8::1"]
ENDS = ["2023-11-14T22:13:20Z", "2023-11-14T23:13:21+01:00", "2030-01-01T00:00Z"]
"""Now, a second later, and later."""

VALUES = {
    "models": ["*", "gpt-*", "gpt-4o*", "gpt-4o", "claude-*", "groq/*", "openai/gpt-5", "auto"],
    "providers": ["*", "openai", "groq", "a*"],
    "paths": [str(path) for path in PATHS],
    "environments": ENVIRONMENTS,
    "networks": ["10.0.0.0/8", "10.0.0.0/16", "0.0.0.0/0", "::/0"],
    "hours": ["08:00-18:00", "22:00-06:00", "00:00-24:00", "12:00-24:00"],
    "max_cost": ["0", "0.5", "2"],
    "cap": ["1", "20.000000001"],
    "rate": ["1", "60"],
    "expires": ENDS,
    "store": ["allow", "deny"],
}

Level = dict[str, list[str]]
"""Values by scope."""


@dataclass(frozen=True)
class Question:
    """A call on a target."""

    model: str
    provider: str
    asked: str
    path: PathKind
    environment: str | None
    address: str
    minute: int
    stores: bool


@dataclass(frozen=True)
class Forest:
    """Nodes with their levels; keys with theirs and the place of their node."""

    nodes: list[NodeRow]
    levels: list[Level]
    keys: list[tuple[int, Level]]


class FixedClock:
    def now_us(self) -> int:
        return NOW_MS * 1000

    def tick_ns(self) -> int:
        return 0


levels = st.dictionaries(st.sampled_from(sorted(VALUES)), st.integers(0, 2**16), max_size=3).map(
    lambda chosen: {
        what: (
            [value for place, value in enumerate(VALUES[what]) if bits >> place & 1] or VALUES[what][:1]
            if what in grammar.MANY
            else [VALUES[what][bits % len(VALUES[what])]]
        )
        for what, bits in chosen.items()
    }
)

questions = st.builds(
    Question,
    model=st.sampled_from(MODELS),
    provider=st.sampled_from(PROVIDERS),
    asked=st.sampled_from(["", "auto"]),
    path=st.sampled_from(PATHS),
    environment=st.sampled_from([None, *ENVIRONMENTS]),
    address=st.sampled_from(ADDRESSES),
    minute=st.sampled_from([0, 359, 360, 479, 480, 720, 1079, 1080, 1320, 1439]),
    stores=st.booleans(),
)


@st.composite
def forests(draw: st.DrawFn) -> Forest:
    nodes = [NodeRow(id=Slug("n0"), parent=None, kind=tree.PLATFORM, name=Slug("n0"), created_ms=0)]
    depths = [1]
    for number in range(1, draw(st.integers(2, 10)) + 1):
        # Half of the nodes go below the deepest that may have some, so that paths get long.
        fit = [one for one, row in enumerate(nodes) if row.kind != tree.PROJECT and depths[one] < MOST_LEVELS]
        above = max(fit, key=depths.__getitem__) if draw(st.booleans()) else draw(st.sampled_from(fit))
        depths.append(depths[above] + 1)
        nodes.append(
            NodeRow(
                id=Slug(f"n{number}"),
                parent=nodes[above].id,
                kind=draw(st.sampled_from(KINDS[nodes[above].kind])),
                name=Slug(f"n{number}"),
                created_ms=0,
                disabled=draw(st.integers(0, 40)) == 40,
            )
        )
    deepest = max(range(len(nodes)), key=depths.__getitem__)
    places = st.one_of(st.just(deepest), st.integers(0, len(nodes) - 1))
    return Forest(
        nodes,
        draw(st.lists(levels, min_size=len(nodes), max_size=len(nodes))),
        draw(st.lists(st.tuples(places, levels), min_size=1, max_size=4)),
    )


def planted(forest: Forest) -> tuple[Directory, list[str]]:
    """The real directory, and the clear keys."""
    rows, texts = [], []
    for number, (place, _) in enumerate(forest.keys):
        clear, prefix, last4 = keys.make()
        texts.append(clear.open(Purpose.AUTH))
        rows.append(
            KeyRow(
                id=Slug(f"k{number}"),
                node=forest.nodes[place].id,
                name=Slug("ci"),
                digest=keys.digest(PEPPER, texts[-1]),
                prefix=prefix,
                last4=last4,
                created_ms=0,
            )
        )
    owners = [
        *((row.id, level) for row, level in zip(forest.nodes, forest.levels, strict=True)),
        *((row.id, level) for row, (_, level) in zip(rows, forest.keys, strict=True)),
    ]
    found = [
        ScopeRow(owner=owner, what=Slug(what), value=value)
        for owner, level in owners
        for what, values in level.items()
        for value in values
    ]
    directory = Directory(PEPPER, FixedClock())
    directory.replace(Accounts(1, tuple(forest.nodes), tuple(rows), tuple(found)))
    return directory, texts


def above(forest: Forest, place: int) -> list[int]:
    """Places of a node and of those above it."""
    ids = [row.id for row in forest.nodes]
    path = [place]
    while (parent := forest.nodes[path[-1]].parent) is not None:
        path.append(ids.index(parent))
    return path


def level_allows(level: Level, question: Question) -> bool:
    """What one level says of a call, its store scope aside."""
    names = [
        question.model,
        f"{question.provider}/{question.model}",
        *([question.asked] * bool(question.asked)),
    ]
    time = f"{question.minute // 60:02}:{question.minute % 60:02}"

    def among(what: str, fits: list[bool]) -> bool:
        return what not in level or any(fits)

    return (
        among("models", [fits(one, name) for one in level.get("models", ()) for name in names])
        and among("providers", [fits(one, question.provider) for one in level.get("providers", ())])
        and among("paths", [one == question.path for one in level.get("paths", ())])
        and among("environments", [one == question.environment for one in level.get("environments", ())])
        and among(
            "networks",
            [ip_address(question.address) in ip_network(one) for one in level.get("networks", ())],
        )
        and among("hours", [is_within(time, *one.split("-")) for one in level.get("hours", ())])
    )


def fits(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def is_within(time: str, begin: str, end: str) -> bool:
    return begin <= time < end if begin < end else time >= begin or time < end


def may_store(path: list[Level]) -> bool:
    """path: the key's level first."""
    return path[0].get("store") == ["allow"] and all(level.get("store") != ["deny"] for level in path)


def is_allowed(rights: Rights, question: Question) -> bool:
    """What the code says."""
    call = Call(
        dialect=Slug("openai_chat"),
        kind=question.path,
        model=question.model,
        stream=False,
        body=Document({}, 2),
        shape=Shape(wants_store=question.stores),
        tags=Tags(environment=None if question.environment is None else Slug(question.environment)),
    )
    now_us = (20_000 * 1440 + question.minute) * 60_000_000
    return (
        scopes.check_call(rights, call, Content(question.address.encode()), now_us) is None
        and scopes.check_target(rights, question.provider, question.model, question.asked) is None
    )


def least(path: list[Level], what: str, unit: int) -> int | None:
    values = [int(Decimal(value) * unit) for level in path for value in level.get(what, ())]
    return min(values, default=None)


@settings(max_examples=200, deadline=None)
@given(forests(), st.lists(questions, min_size=5, max_size=5))
def test_a_key_may_do_exactly_what_every_level_on_its_path_allows(
    forest: Forest, asked: list[Question]
) -> None:
    directory, texts = planted(forest)
    for text, (place, own) in zip(texts, forest.keys, strict=True):
        places = above(forest, place)
        path = [own, *(forest.levels[one] for one in places)]
        is_closed = any(forest.nodes[one].disabled for one in places)
        is_over = any(level.get("expires") == ENDS[:1] for level in path)
        caller = directory.find(text)
        assert (caller is None) == (is_closed or is_over)
        if caller is None:
            continue
        assert caller.path == tuple(forest.nodes[one].id for one in reversed(places))
        for question in asked:
            every = all(level_allows(level, question) for level in path)
            expected = every and (may_store(path) or not question.stores)
            assert is_allowed(caller.rights, question) == expected
            event(f"allowed: {expected}")
        event(f"levels: {len(places)}")
        assert caller.rights.may_store == may_store(path)
        assert caller.rights.max_cost == least(path, "max_cost", 10**9)
        assert caller.cap == least(path, "cap", 10**9)
        assert caller.rate == least(path, "rate", 1)
