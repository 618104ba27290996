"""What of a body is a picture, points elsewhere, or is run by the provider."""

from typing import Any

import pytest

from gateway.ledger import parts

INLINE = {"mimeType": "image/png", "data": "iVBORw0KGgo="}
SOURCE = {"type": "base64", "data": "iVBORw0KGgo="}
DATA = "data:image/png;base64,iVBORw0KGgo="
RAW = "iVBORw0KGgo="


def chat(*content: Any) -> dict[str, Any]:
    return {"messages": ["odd", {"role": "user", "content": list(content)}]}


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        (chat({"type": "image_url", "image_url": {"url": DATA}}), [DATA]),
        (chat({"type": "image_url", "image_url": DATA}), [DATA]),
        (chat({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}), []),
        (chat({"type": "image_url", "image_url": {"url": "data:text/plain;base64,AAAA"}}), []),
        (chat({"type": "image_url"}), []),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": DATA}]}]}, [DATA]),
        ({"input": [{"output": [{"type": "input_image", "image_url": DATA}]}]}, [DATA]),
        ({"input": "text"}, []),
        (chat({"type": "image", "source": SOURCE}), [RAW]),
        (chat({"type": "image", "source": {"type": "url", "url": "https://example.org"}}), []),
        (chat({"type": "image", "source": {"type": "base64"}}), []),
        (chat({"type": "image"}), []),
        (
            chat({"type": "tool_result", "content": [{"type": "image", "source": SOURCE}]}),
            [RAW],
        ),
        (chat({"type": "tool_result", "content": "text"}), []),
        ({"contents": [{"parts": [{"inlineData": INLINE}]}]}, [RAW]),
        ({"contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": RAW}}]}]}, [RAW]),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "text/plain", "data": RAW}}]}]}, []),
        ({"contents": [{"parts": [{"inlineData": {"data": RAW}}, {"inlineData": 5}, {"text": "x"}, 5]}]}, []),
        ({}, []),
    ],
)  # fmt: skip
def test_a_picture_is_found_where_a_provider_takes_it_for_one(tree: dict[str, Any], found: list[str]) -> None:
    assert list(parts.pictures(tree)) == found


@pytest.mark.parametrize(
    "tree",
    [
        chat({"type": "text", "text": DATA}),
        chat({"type": "tool_use", "input": {"type": "image", "source": SOURCE}}),
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": DATA}}]}]},
        {"tools": [{"type": "image", "source": SOURCE}]},
        {"contents": [{"parts": [{"functionResponse": {"inlineData": INLINE}}]}]},
        {"contents": [{"parts": [{"type": "text", "inlineData": INLINE}]}]},
    ],
)
def test_text_in_the_shape_of_a_picture_is_text(tree: dict[str, Any]) -> None:
    assert list(parts.pictures(tree)) == []


@pytest.mark.parametrize(
    ("tree", "count"),
    [
        ({}, 0),
        ({"previous_response_id": "resp_1", "conversation": {"id": "c"}}, 2),
        ({"prompt": {"id": "pmpt_1"}}, 1),
        ({"prompt": "a cat"}, 0),
        ({"cachedContent": "cachedContents/1"}, 1),
        ({"previous_response_id": None}, 0),
    ],
)
def test_pointers_to_kept_text_are_counted(tree: dict[str, Any], count: int) -> None:
    assert parts.hidden(tree) == count


@pytest.mark.parametrize(
    ("tree", "count"),
    [
        ({"contents": [{"parts": [{"fileData": {"mimeType": "audio/mp3", "fileUri": "u"}}]}]}, 1),
        ({"contents": {"parts": {"file_data": {"mime_type": "audio/mp3"}}}}, 1),
        ({"contents": [{"parts": [{"fileData": {"mimeType": "video/mp4"}}, {"text": "x"}, 5]}, 5]}, 0),
        ({"contents": [{}]}, 0),
        ({}, 0),
    ],
)
def test_sounds_in_the_providers_store_are_counted(tree: dict[str, Any], count: int) -> None:
    assert parts.sounds_elsewhere(tree) == count


@pytest.mark.parametrize(
    ("tree", "count"),
    [
        ({}, 0),
        ({"tools": "odd"}, 0),
        ({"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "name": "g"}, 5]}, 0),
        ({"tools": [{"name": "mine", "input_schema": {}}]}, 0),
        ({"tools": [{"type": None, "name": "mine"}]}, 0),
        ({"tools": [{"type": "web_search_20260101", "name": "web_search"}]}, 1),
        ({"tools": [{"type": ["odd"]}]}, 1),
        ({"tools": [{"type": "web_search"}, {"type": "file_search"}]}, 2),
        ({"tools": [{"functionDeclarations": [{"name": "f"}]}]}, 0),
        ({"tools": [{"function_declarations": [], "googleSearch": {}, "codeExecution": {}}]}, 2),
        ({"tools": {"googleSearch": {}}}, 1),
        ({"web_search_options": {"search_context_size": "low"}}, 1),
        ({"mcp_servers": [{}], "context_management": {"edits": []}}, 2),
    ],
)
def test_tools_that_the_provider_runs_are_counted(tree: dict[str, Any], count: int) -> None:
    assert parts.provider_tools(tree) == count


def test_texts_leave_out_pictures_settings_and_frames() -> None:
    tree = {
        "model": "m",
        "metadata": {"user": "u"},
        "system": "S",
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "T"}, {"type": "image_url", "image_url": {"url": DATA}}],
            }
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"properties": {"city": {"minimum": 5}}}},
            }
        ],
    }
    found = set(parts.texts(tree))
    assert {"S", "T", "f", "city", "properties"} <= found
    assert DATA not in found
    assert "u" not in found
    assert "m" not in found


def test_a_deeply_nested_body_is_no_trouble() -> None:
    tree: Any = "x"
    for _ in range(5_000):
        tree = [tree]
    assert list(parts.texts({"input": tree})) == ["x"]
