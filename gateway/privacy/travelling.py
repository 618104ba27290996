"""Bodies of calls that can be told in every other dialect, with marks wherever a translation has to look."""

from collections.abc import Callable
from typing import Any, Final

from gateway.privacy import bodies
from gateway.privacy.bodies import Body
from gateway.privacy.canary import Canary

SEAL: Final = "__sig__"
"""Stands between a tool call's id and a thought's seal where a dialect has no other place for the seal."""


def chat(canary: Canary, orders: str, stream: bool) -> Body:
    """OpenAI's chat completions: with a thought, a sealed tool call and its result."""
    mark = canary.mark
    body = bodies.chat(canary, orders, stream)
    for name in ("web_search_options", "prediction"):
        del body[name]
    system, developer, earlier, called, result, refused, user = body["messages"]
    called["reasoning_content"] = mark("chat thought")
    called["tool_calls"][0]["id"] = f"{mark('chat sealed id')}{SEAL}{mark('chat seal')}"
    result["tool_call_id"] = called["tool_calls"][0]["id"]
    user["content"] = [part for part in user["content"] if _can_travel(part)]
    body["messages"] = [system, developer, earlier, called, result, refused, user]
    return body


def _can_travel(part: Any) -> bool:
    """A picture that is sent along, or a text: files and links are not taken everywhere."""
    url: str = part.get("image_url", {}).get("url", "")
    return part["type"] == "text" or url.startswith("data:")


def responses(canary: Canary, orders: str, stream: bool) -> Body:
    """OpenAI's responses: with a thought, its seal, a tool call and its result."""
    mark = canary.mark
    body = bodies.responses(canary, orders, stream)
    system, thought, called, result, user = body["input"]
    thought["summary"] = [{"type": "summary_text", "text": mark("responses thought")}]
    result["call_id"] = called["call_id"]
    picture = f"data:image/png;base64,{bodies.image(canary, 'responses image')}"
    user["content"][:2] = [{"type": "input_image", "image_url": picture}]
    question = {"role": "user", "content": mark("responses earlier user")}
    body["input"] = [system, question, thought, called, result, user]
    return body


def messages(canary: Canary, orders: str, stream: bool) -> Body:
    """Anthropic's messages: with a thought of another maker, its seal, a tool call and its result."""
    mark = canary.mark
    body = bodies.messages(canary, orders, stream)
    earlier, called, user = body["messages"]
    called["content"][0]["signature"] = f"openai:{mark('messages seal')}"
    use = called["content"][2]["id"]
    told = {"type": "tool_result", "tool_use_id": use, "content": mark("messages tool result")}
    user["content"] = [told, user["content"][0], user["content"][2]]
    body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    body["max_tokens"] = 2000
    body["messages"] = [earlier, called, user]
    return body


def generate(canary: Canary, orders: str, stream: bool) -> Body:
    """Gemini's generateContent: with a thought, its seal, a tool call and its result."""
    mark = canary.mark
    body = bodies.generate(canary, orders, stream)
    earlier, called, user = body["contents"]
    called["parts"][1]["thoughtSignature"] = bodies.image(canary, "generate seal")
    response = {"name": mark("called tool"), "response": {"result": mark("generate tool result")}}
    user["parts"] = [part for part in user["parts"] if "fileData" not in part]
    body["contents"] = [earlier, called, {"role": "user", "parts": [{"functionResponse": response}]}, user]
    return body


BODIES: Final[dict[str, Callable[[Canary, str, bool], Body]]] = {
    "openai_chat": chat,
    "openai_responses": responses,
    "anthropic_messages": messages,
    "gemini_generate": generate,
}
"""dialect: the body's maker."""
