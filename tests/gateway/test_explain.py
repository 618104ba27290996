"""The dry run of a call, word for word."""

import asyncio
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway import config, opening
from gateway.cli import main
from gateway.contracts import Outcome
from gateway.names import Slug

TREE = """
[classify]
use = ["shape"]
[secrets]
master_key = {{ file = "{folder}/master.key" }}
[store]
path = "{folder}/gateway.db"
[providers.openai]
api_key = "sk-test-0000000000000000"
[providers.anthropic]
api_key = "sk-ant-0000000000000000"
[providers.plain]
use = "compatible"
base_url = "https://models.example/v1"
api_key = "sk-test-0000000000000000"
[models.big]
provider = "openai"
model = "gpt-4o"
tier = "dear"
price = {{ input = "2.50", output = "10.00" }}
[models.claude]
provider = "anthropic"
model = "claude-haiku-4-5"
tier = "middling"
price = {{ input = "1.00", output = "5.00" }}
[models.small]
provider = "openai"
model = "gpt-4o-mini"
tier = "cheap"
price = {{ input = "0.15", output = "0.60" }}
[routes.auto]
use = "cheapest"
targets = ["big", "claude", "small", "plain/unheard-of"]
baseline = "big"
[routes.careful]
use = "quality"
targets = ["big", "small"]
default = "big"
baseline = "big"
least = 2
stand_ins = {{ big = {{ "*" = ["small"] }} }}
"""

ASKED: dict[str, Any] = {
    "messages": [{"role": "user", "content": "hello"}],
    "max_tokens": 1000,
    "seed": 5,
    "logprobs": True,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.toml"
    file.write_text(TREE.format(folder=tmp_path))
    return file


def explained(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any, *words: str, **body: Any
) -> str:
    told = io.TextIOWrapper(io.BytesIO(json.dumps(ASKED | body).encode()))
    monkeypatch.setattr(sys, "stdin", told)
    assert main(["explain", "--config", str(path), *words]) == 0
    return capsys.readouterr().out


def target(model: str, tier: str, prices: tuple[str, str], held: str, **changes: Any) -> dict[str, Any]:
    """A candidate that nothing is known of yet, in the caller's own dialect."""
    known = {
        "model": model,
        "tier": tier,
        "healthy": True,
        "latency_us": None,
        "in_flight": 0,
        "input_usd": prices[0],
        "output_usd": prices[1],
        "held_usd": held,
        "too_dear": False,
        "dialect": "openai_chat",
        "dropped": None,
        "untranslatable": None,
    }
    return known | changes


def test_a_route_is_explained_in_full(path: Path, capsys: Any, monkeypatch: Any) -> None:
    found = json.loads(explained(path, capsys, monkeypatch, "--json", model="auto"))
    assert all(one.pop("price_version").startswith("operator-") for one in found["candidates"])
    claude = {"dialect": "anthropic_messages", "dropped": ["logprobs", "seed"], "too_dear": True}
    assert found == {
        "error": None,
        "task": "other",
        "confidence": 0,
        "classifier": "none",
        "reason": "cheapest",
        "winner": "openai/gpt-4o-mini",
        "candidates": [
            target("openai/gpt-4o-mini", "cheap", ("0.15", "0.6"), "0.0006255"),
            target("anthropic/claude-haiku-4-5", "middling", ("1", "5"), "0.00517", **claude),
            target("openai/gpt-4o", "dear", ("2.5", "10"), "0.010425", too_dear=True),
        ],
        "excluded": [{"model": "plain/unheard-of", "reason": "unpriced_model"}],
        "baseline": "openai/gpt-4o",
        "expected_saving_usd": "0.0097995",
        "quality": [],
    }


def test_the_same_for_people(path: Path, capsys: Any, monkeypatch: Any) -> None:
    assert explained(path, capsys, monkeypatch, model="auto") == (
        "task      other (0 %)\n"
        "reason    cheapest\n"
        "1.        openai/gpt-4o-mini  holds 0.0006255  (0.15 in, 0.6 out, dollars per million tokens)\n"
        "          well, not asked yet, 0 calls under way\n"
        "2.        anthropic/claude-haiku-4-5  holds 0.00517  (1 in, 5 out, dollars per million tokens)\n"
        "          well, not asked yet, 0 calls under way\n"
        "          is not asked: it can cost more than the first, and allow_costlier is not set\n"
        "          is asked in anthropic_messages, which leaves out logprobs, seed\n"
        "3.        openai/gpt-4o  holds 0.010425  (2.5 in, 10 out, dollars per million tokens)\n"
        "          well, not asked yet, 0 calls under way\n"
        "          is not asked: it can cost more than the first, and allow_costlier is not set\n"
        "baseline  openai/gpt-4o: saves 0.0097995 if the answer is as long as it may be\n"
        "excluded  plain/unheard-of: unpriced_model\n"
    )


def test_a_call_that_a_target_cannot_be_told_says_why(path: Path, capsys: Any, monkeypatch: Any) -> None:
    path.write_text(path.read_text() + "[translation]\nstrict = true\n")
    text = explained(path, capsys, monkeypatch, model="auto")
    assert "cannot be asked: cannot_translate" in text


def test_what_outcomes_say_is_told(path: Path, capsys: Any, monkeypatch: Any) -> None:
    async def add() -> None:
        store = await opening.open_store(config.read(path))
        await store.outcomes.add([judged(number) for number in range(4)])
        await store.close()

    def judged(number: int) -> Outcome:
        return Outcome(
            call=Slug(f"call-{number}"), source=Slug("judge"), at_ms=0, task=Slug("chat"),
            model=Slug("openai/gpt-4o-mini"), against=Slug("openai/gpt-4o"), score=1000,
        )  # fmt: skip

    path.write_text(path.read_text().replace('use = ["shape"]', 'use = ["linear"]'))
    asyncio.run(add())
    found = json.loads(explained(path, capsys, monkeypatch, "--json", model="careful"))
    assert (found["task"], found["winner"]) == ("chat", "openai/gpt-4o")
    [one] = found["quality"]
    assert (one["requested"], one["candidate"], one["moves"]) == ("big", "small", False)
    assert (one["kept"], one["count"], one["reason"]) == (1000, 4, "below_floor")
    text = explained(path, capsys, monkeypatch, model="careful")
    assert f"quality   small for big: 100 % kept, at least {one['bound'] / 10:g} % (n=4): below_floor" in text


def test_a_model_that_was_named_is_its_own_baseline(path: Path, capsys: Any, monkeypatch: Any) -> None:
    found = json.loads(explained(path, capsys, monkeypatch, "--json", model="small"))
    assert (found["baseline"], found["expected_saving_usd"]) == ("openai/gpt-4o-mini", "0")
    unknown = json.loads(explained(path, capsys, monkeypatch, "--json", model="no-such-model"))
    assert (unknown["error"], unknown["candidates"]) == ("unknown_model", [])
