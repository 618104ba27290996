"""How much of a provider's load each of its keys bears: weights, an even pace, calls at the same time."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gateway import config
from gateway.config import ConfigError
from gateway.content import Secret
from gateway.errors import UpstreamBusy
from gateway.names import Slug
from gateway.upstreams.pool import Credential, Loaded, Pool, Share
from tests.end_to_end.stand import OPENAI, Stand, user

NAME = Slug("openai")
NOBODY: Any = None


class MovedClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.ns = 1

    def now_us(self) -> int:
        return self.ns // 1000

    def tick_ns(self) -> int:
        return self.ns


def pool(clock: MovedClock, *shares: Share) -> Pool:
    credentials = [
        Credential(Slug(f"openai/{number}"), lambda: Secret("sk"), share)
        for number, share in enumerate(shares, 1)
    ]
    loaded = Loaded(name=NAME, provider=NOBODY, exit=NOBODY, host="h", credentials=credentials)
    return Pool({NAME: loaded}, clock)


def picked(one: Pool) -> str:
    credential = one.pick(NAME)
    assert credential is not None
    return credential.id


def test_each_key_gets_the_turns_its_weight_says_spread_evenly() -> None:
    one = pool(MovedClock(), Share(weight=5), Share(weight=1), Share(weight=1))
    turns = [picked(one)[-1] for _ in range(14)]
    assert Counter(turns) == {"1": 10, "2": 2, "3": 2}
    assert "".join(turns[:7]) == "1121311"
    assert turns[:7] == turns[7:]


def test_a_key_that_comes_back_is_not_flooded() -> None:
    one = pool(MovedClock(), Share(weight=3), Share(weight=1))
    first, _ = (one.get(NAME) or NOBODY).credentials
    first.until_ns = 10**9
    assert {picked(one) for _ in range(40)} == {"openai/2"}
    first.until_ns = 0
    assert Counter(picked(one)[-1] for _ in range(8)) == {"1": 6, "2": 2}


def test_a_pace_is_kept_and_others_take_the_rest() -> None:
    clock = MovedClock()
    one = pool(clock, Share(calls_per_minute=60), Share())
    assert Counter(picked(one) for _ in range(40))["openai/1"] == 10  # a sixth of a minute's worth at once
    clock.ns += 5 * 10**9
    assert Counter(picked(one) for _ in range(20))["openai/1"] == 5


def test_a_pace_that_nobody_else_can_take_over_is_told_with_the_wait() -> None:
    clock = MovedClock()
    one = pool(clock, Share(calls_per_minute=6))
    picked(one)
    assert not one.ready(NAME, Slug("openai/x"), lambda credential: True)
    assert not one.spare(NAME)
    with pytest.raises(UpstreamBusy) as busy:
        one.pick(NAME)
    assert busy.value.after_s == pytest.approx(10)
    clock.ns += 10 * 10**9
    assert picked(one) == "openai/1"


def test_so_many_calls_at_a_time_and_no_more() -> None:
    one = pool(MovedClock(), Share(open_calls=2), Share(open_calls=1))
    first, second = (one.get(NAME) or NOBODY).credentials
    first.open = 2
    assert picked(one) == second.id
    second.open = 1
    with pytest.raises(UpstreamBusy):
        one.pick(NAME)
    first.open = 1
    assert picked(one) == first.id


def test_shares_are_read_strictly() -> None:
    keys = [{"env": "A", "weight": 3, "calls_per_minute": 60, "open_calls": 5}, "sk-text"]
    tree = {"providers": {"openai": {"api_keys": keys}}}
    table = config.parse(tree, "test", {}).providers["openai"]
    assert isinstance(table.api_keys[0], config.KeyRef)
    assert (table.api_keys[0].weight, table.api_keys[0].calls_per_minute) == (3, 60)
    for wrong in (
        {"env": "A", "weight": 0},
        {"env": "A", "wait": 3},
        {"weight": 2},
        {"env": "A", "file": "b"},
    ):
        with pytest.raises(ConfigError):
            config.parse({"providers": {"openai": {"api_keys": [wrong]}}}, "test", {})


async def test_weights_hold_over_http_and_open_calls_are_counted_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_A", "sk-a")
    monkeypatch.setenv("KEY_B", "sk-b")
    keys = [{"env": "KEY_A", "weight": 3, "open_calls": 9}, {"env": "KEY_B"}]
    async with Stand(tmp_path, {"providers": {"openai": {"api_keys": keys}}}, keys=False) as stand:
        for _ in range(8):
            answer = await stand.ask("/v1/chat/completions", {"model": OPENAI, "messages": user("hi")})
            assert answer.status == 200
        used = Counter(one.header("authorization") for one in stand.upstream.requests)
        assert used == {"Bearer sk-a": 6, "Bearer sk-b": 2}
        loaded = stand.gateway.app._flow.pool.get("openai")
        assert loaded is not None
        assert [one.open for one in loaded.credentials] == [0, 0]
