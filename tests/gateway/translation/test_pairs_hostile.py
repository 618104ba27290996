"""Any call through any pair, any bytes through any carrier: only declared errors, and no text in them."""

import traceback
from itertools import permutations
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.content import Document, Purpose
from gateway.errors import CallerError, GatewayError, UpstreamError
from gateway.names import Slug
from gateway.translation import TONGUES
from gateway.translation.bridge import losses_of
from gateway.translation.canonical import Ask, Event
from gateway.translation.homecoming import at_home
from gateway.translation.losses import Loss, Losses
from gateway.translation.tongue import Aim, Reply
from tests.gateway.translation import anthropic_asks, gemini_samples, openai_samples
from tests.gateway.translation.test_bridge import MODELS, body, passage, read

PAIRS = list(permutations(TONGUES, 2))
CANARY = "kanarienvogel"
ASKS = openai_samples.asks() | gemini_samples.asks() | anthropic_asks.asks("claude-sonnet-5-5")
STORIES = openai_samples.stories() | gemini_samples.stories()
ODD = st.sampled_from(
    [None, True, 0, -1, 2**63, 1e300, "", CANARY, [], {}, [None], {CANARY: None}, [[]], [{}]]
)


@st.composite
def spoiled(draw: st.DrawFn, tree: Any) -> Any:
    """The tree with one value in it replaced by another."""
    if isinstance(tree, dict) and tree and draw(st.integers(0, 6)):
        key = draw(st.sampled_from(sorted(tree)))
        return {**tree, key: draw(spoiled(tree[key]))}
    if isinstance(tree, list) and tree and draw(st.integers(0, 6)):
        at = draw(st.integers(0, len(tree) - 1))
        return [*tree[:at], draw(spoiled(tree[at])), *tree[at + 1 :]]
    return draw(ODD)


def marked(tree: Any) -> Any:
    """The tree with a mark in each text that has no meaning of its own."""
    if isinstance(tree, dict):
        return {name: marked(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [marked(value) for value in tree]
    return f"{tree} {CANARY}" if isinstance(tree, str) and " " in tree else tree


def said_by(error: BaseException) -> str:
    """Everything that an error and those behind it show of themselves."""
    return "".join(traceback.format_exception_only(error)) + repr(
        [error, error.args, error.__cause__, getattr(error, "about", None), vars(error)]
    )


def check(caller: str, provider: str, tree: dict[str, Any], stream: bool) -> None:
    """The call goes through, or is refused as declared."""
    declared = losses_of(TONGUES[Slug(caller)], TONGUES[Slug(provider)])
    refused: CallerError | None
    try:
        call = read(caller, tree, stream)
        assert CANARY not in repr(call)
        at_home(call, MODELS[caller])
        one = passage(call, provider)
    except CallerError as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        assert refused.code in ("bad_request", "cannot_translate")
        if refused.code == "cannot_translate":
            assert declared[Slug(str(refused.about))] is Loss.REFUSED
        assert CANARY not in said_by(refused)
        return
    assert {declared[name] for name in one.dropped} <= {Loss.DROPPED}
    assert CANARY not in repr(one.call)
    assert isinstance(one.call.body, Document)
    orjson.dumps(one.call.body.open(Purpose.SEND))


@pytest.mark.parametrize("caller", TONGUES)
@given(ask=ASKS, data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_call_goes_through_any_pair_or_is_refused_as_declared(
    caller: str, ask: Ask, data: st.DataObject
) -> None:
    try:
        tree = TONGUES[Slug(caller)].write_ask(ask, Aim(model=MODELS[caller], max_output=99), Losses())
    except CallerError:
        return
    tree = orjson.loads(orjson.dumps({**body(caller, f"Hello {CANARY}", False), **tree}))
    if data.draw(st.booleans()):
        tree = data.draw(spoiled(marked(tree)))
    for provider in TONGUES:
        if provider != caller and isinstance(tree, dict):
            check(caller, provider, tree, ask.stream)


def carry(caller: str, provider: str, chunks: list[bytes], stream: bool) -> None:
    """Bytes through the carrier of a pair."""
    one = passage(read(caller, body(caller, "Hi", True), stream), provider).carrier()
    failed: UpstreamError | None = None
    try:
        for chunk in chunks:
            one.feed(chunk)
        one.finish()
    except UpstreamError as error:
        failed = error
    assert CANARY not in repr(one)
    if failed is not None:
        assert CANARY not in said_by(failed)
        with pytest.raises(GatewayError):
            one.finish()


@pytest.mark.parametrize("provider", TONGUES)
@given(events=STORIES, data=st.data(), stream=st.booleans())
@settings(max_examples=40, deadline=None)
def test_damaged_answers_make_every_carrier_raise_upstream_errors_only(
    provider: str, events: list[Event], data: st.DataObject, stream: bool
) -> None:
    call = read(provider, body(provider, "Hi", True), stream)
    writer = TONGUES[Slug(provider)].writer(
        Reply(id=Slug("req-1"), model="m", created_s=1_800_000_000, call=call)
    )
    raw = writer.write(events) + writer.finish()
    for _ in range(data.draw(st.integers(0, 3))):
        begin = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(begin, min(len(raw), begin + 40)))
        raw = raw[:begin] + data.draw(st.binary(max_size=4) | st.just(CANARY.encode())) + raw[end:]
    cut = data.draw(st.integers(0, len(raw)))
    for caller in TONGUES:
        if caller != provider:
            carry(caller, provider, [raw[:cut], raw[cut:]], stream)


@pytest.mark.parametrize("provider", TONGUES)
@given(
    chunks=st.lists(
        st.binary(max_size=30)
        | st.sampled_from([b"data: {", b"}\n\n", b'{"id":"', b'"choices":[', CANARY.encode(), b"[" * 3000]),
        max_size=6,
    ),
    stream=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_bytes_of_any_kind_make_every_carrier_raise_upstream_errors_only(
    provider: str, chunks: list[bytes], stream: bool
) -> None:
    for caller in TONGUES:
        if caller != provider:
            carry(caller, provider, chunks, stream)


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
def test_what_the_two_tables_of_a_pair_both_name_has_one_fate(caller: str, provider: str) -> None:
    here, there = TONGUES[Slug(caller)].AS_CALLER, TONGUES[Slug(provider)].AS_PROVIDER
    assert all(here[name] is there[name] for name in here.keys() & there.keys())
