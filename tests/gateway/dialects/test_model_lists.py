"""Lists of models in the shape of each family."""

import json

import pytest
from anthropic.pagination import SyncPage
from anthropic.types import ModelInfo
from google.genai import types
from openai.types import Model

from gateway.dialects.models import Listed, model_list, single_model
from gateway.names import Slug
from gateway.usage import Picos

FULL = Listed(
    name=Slug("gpt-4o-mini"),
    provider=Slug("openai"),
    context=128_000,
    max_output=16_384,
    created_s=1_721_172_717,
    input_price=Picos(150_000),
    output_price=Picos(2_000_000),
    policy=Slug("no-training"),
    healthy=True,
)
BARE = Listed(name=Slug("local/llama-3.3:70b"), provider=Slug("local"), embeds=True)


def test_openais_library_reads_its_list() -> None:
    tree = json.loads(model_list(Slug("openai"), [FULL, BARE]))
    assert tree["object"] == "list"
    full, bare = (Model.model_validate(model, strict=True) for model in tree["data"])
    assert (full.id, full.created, full.owned_by, full.object) == (
        "gpt-4o-mini",
        1_721_172_717,
        "openai",
        "model",
    )
    assert (bare.id, bare.created) == ("local/llama-3.3:70b", 0)
    assert tree["data"][0]["gateway"] == {
        "input_price": "0.15",
        "output_price": "2",
        "data_policy": "no-training",
        "healthy": True,
    }
    assert tree["data"][0]["context_window"] == 128_000
    assert set(tree["data"][1]) == {"id", "object", "created", "owned_by"}


def test_anthropics_library_reads_its_list() -> None:
    tree = json.loads(model_list(Slug("anthropic"), [FULL, BARE]))
    page = SyncPage[ModelInfo].model_validate(tree)
    assert (page.first_id, page.last_id, page.has_more) == ("gpt-4o-mini", "local/llama-3.3:70b", False)
    full, bare = page.data
    assert (full.id, full.display_name, full.max_tokens) == ("gpt-4o-mini", "gpt-4o-mini", 16_384)
    assert full.created_at.isoformat() == "2024-07-16T23:31:57+00:00"
    assert bare.created_at.timestamp() == 0
    assert bare.lifecycle == "active"


def test_googles_library_reads_its_list() -> None:
    tree = json.loads(model_list(Slug("gemini"), [FULL, BARE]))
    full, bare = tree["models"]
    assert (full["name"], full["inputTokenLimit"], full["outputTokenLimit"]) == (
        "models/gpt-4o-mini",
        128_000,
        16_384,
    )
    assert "generateContent" in full["supportedGenerationMethods"]
    assert bare["supportedGenerationMethods"] == ["embedContent", "batchEmbedContents", "countTokens"]
    assert "inputTokenLimit" not in bare
    fields = types.Model.model_fields
    assert {"name", "version", "display_name", "input_token_limit", "output_token_limit"} <= set(fields)


def test_an_empty_list_is_a_list() -> None:
    assert json.loads(model_list(Slug("openai"), [])) == {"object": "list", "data": []}
    assert json.loads(model_list(Slug("gemini"), [])) == {"models": []}
    assert json.loads(model_list(Slug("anthropic"), [])) == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


@pytest.mark.parametrize(
    ("family", "place"), [("openai", "data"), ("anthropic", "data"), ("gemini", "models")]
)
def test_a_single_model_looks_as_in_the_list(family: str, place: str) -> None:
    listed = json.loads(model_list(Slug(family), [FULL]))[place][0]
    assert json.loads(single_model(Slug(family), FULL)) == listed


@pytest.mark.parametrize(
    ("price", "text"), [(0, "0"), (75_000, "0.075"), (60_000_000, "60"), (1, "0.000001")]
)
def test_prices_are_dollars_per_million_tokens(price: int, text: str) -> None:
    model = Listed(name=Slug("m"), provider=Slug("p"), input_price=Picos(price))
    assert json.loads(single_model(Slug("openai"), model))["gateway"] == {"input_price": text}
