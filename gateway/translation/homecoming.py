"""What other makers left in a conversation, taken out before it goes to its dialect's own provider.

A caller keeps what a translated answer gave it, and may go on with another model: in the same dialect,
so that nothing is translated. A provider refuses foreign seals and ids that carry one. Only these are
taken out; a call without them goes as it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.content import Document, Purpose
from gateway.contracts import Call
from gateway.names import Slug
from gateway.translation.anthropic_messages_seals import unsealed
from gateway.translation.canonical import SEAL, Maker, parted_id
from gateway.translation.gemini_generate_fields import STANDARD
from gateway.translation.gemini_generate_signature import STAND_INS, UNSEALED, unpack
from gateway.translation.gemini_generate_thinking import is_third_generation
from gateway.translation.openai_seal import thought_of

Tree = dict[str, Any]
Change = Callable[[Tree], Tree | None]
"""The very same object where there is nothing to change; None where it is to be left out."""

OUR_THOUGHT: Final = "rs_req-"
"""How the ids of Responses' reasoning items begin that were made here: OpenAI would look for them in vain."""

OTHERS_CALL: Final = "call_"
"""How ids of tool calls begin that are not Anthropic's."""


def at_home(call: Call, model: str) -> Call:
    """The call as its dialect's own provider takes it; the very same where there is nothing to take out."""
    clean = _CLEANERS.get(call.dialect)
    if clean is None or call.shape.turns < 2 or not isinstance(call.body, Document):
        return call
    before = call.body.open(Purpose.TRANSLATE)
    after = clean(before, model)
    return call if after is before else replace(call, body=Document(after, call.body.size))


def without_thoughts(call: Call) -> Call:
    """A chat call whose turns have no reasoning_content: for providers that do not write the field either.

    Source: Groq's error for such a message, "property 'reasoning_content' is unsupported".
    """
    if call.dialect != "openai_chat" or call.shape.turns < 2 or not isinstance(call.body, Document):
        return call
    before = call.body.open(Purpose.TRANSLATE)
    after = _changed(before, "messages", _wordless)
    return call if after is before else replace(call, body=Document(after, call.body.size))


def _wordless(message: Tree) -> Tree:
    if "reasoning_content" not in message:
        return message
    return {name: value for name, value in message.items() if name != "reasoning_content"}


def _changed(tree: Tree, field: str, change: Change) -> Tree:
    """The object with the objects of a list changed; the very same if none was."""
    before = tree.get(field)
    if type(before) is not list:
        return tree
    for entry in before:
        if type(entry) is dict and change(entry) is not entry:
            break
    else:
        return tree
    after = [change(entry) if type(entry) is dict else entry for entry in before]
    kept = [new for old, new in zip(before, after, strict=True) if new is not None or old is None]
    return {**tree, field: kept}


def _bare(tree: Tree, field: str) -> Tree:
    """The object with an id that carries no seal."""
    id = tree.get(field)
    return {**tree, field: parted_id(id)[0]} if type(id) is str and SEAL in id else tree


# --- OpenAI -----------------------------------------------------------------------------------------------


def _chat(tree: Tree, model: str) -> Tree:
    return _changed(tree, "messages", _chat_message)


def _chat_message(message: Tree) -> Tree:
    if "tool_calls" not in message and "tool_call_id" not in message:
        return message
    return _changed(_bare(message, "tool_call_id"), "tool_calls", _chat_call)


def _chat_call(call: Tree) -> Tree:
    return _bare(call, "id")


def _responses(tree: Tree, model: str) -> Tree:
    return _changed(tree, "input", _item)


def _item(item: Tree) -> Tree | None:
    if item.get("type") != "reasoning":
        return _bare(item, "call_id")
    id, seal = item.get("id"), item.get("encrypted_content")
    ours = type(id) is str and id.startswith(OUR_THOUGHT)
    foreign = type(seal) is str and thought_of("", seal).maker not in (None, Maker.OPENAI)
    return None if ours or foreign else item


# --- Anthropic --------------------------------------------------------------------------------------------


def _messages(tree: Tree, model: str) -> Tree:
    after = _changed(tree, "messages", _message)
    thinking = tree.get("thinking")
    if (
        type(thinking) is dict
        and thinking.get("type") == "enabled"
        and _calls_unsigned(after, after is not tree)
    ):
        return {**after, "thinking": {"type": "disabled"}}
    return after


def _message(message: Tree) -> Tree | None:
    changed = _changed(message, "content", _block)
    return changed if changed is message or changed["content"] else None


def _block(block: Tree) -> Tree | None:
    kind = block.get("type")
    if kind == "text":
        return block
    if kind in ("thinking", "redacted_thinking"):
        seal = block.get("signature" if kind == "thinking" else "data")
        own = type(seal) is str and unsealed(seal)[1] is Maker.ANTHROPIC
        return block if own else None
    return _bare(_bare(block, "id"), "tool_use_id") if kind in ("tool_use", "tool_result") else block


def _calls_unsigned(tree: Tree, changed: bool) -> bool:
    """Whether the assistant's last turn is another model's, calls tools and does not begin with a thought.

    Source: Anthropic's "Extended thinking": with a budget for thinking, such a turn is refused.
    """
    turns = tree["messages"] if type(tree.get("messages")) is list else []
    own = [turn for turn in turns if type(turn) is dict and turn.get("role") == "assistant"]
    content = own[-1].get("content") if own else None
    blocks = [block for block in content if type(block) is dict] if type(content) is list else []
    calls = [block.get("id") for block in blocks if block.get("type") == "tool_use"]
    if not calls or blocks[0].get("type") in ("thinking", "redacted_thinking"):
        return False
    return changed or any(type(id) is str and id.startswith(OTHERS_CALL) for id in calls)


# --- Gemini -----------------------------------------------------------------------------------------------


def _gemini(tree: Tree, model: str) -> Tree:
    third = is_third_generation(model)
    return _changed(tree, "contents", lambda content: _content(content, third))


def _content(content: Tree, third: bool) -> Tree | None:
    """A turn without foreign seals; where seals are checked, the first function call has one."""
    changed = _changed(content, "parts", lambda part: _part(part, third))
    if changed is content:
        return content
    parts = changed["parts"]
    if third:
        place = next((at for at, part in enumerate(parts) if _is_call(part)), None)
        if place is not None and not _seal_of(parts[place]):
            parts[place] = {**parts[place], "thoughtSignature": UNSEALED}
    return changed if parts else None


def _part(part: Tree, third: bool) -> Tree | None:
    seal = _seal_of(part)
    if type(seal) is not str or not seal or (third and seal in STAND_INS):
        return part
    if seal not in STAND_INS and unpack(seal.translate(STANDARD))[1] is Maker.GEMINI:
        return part
    rest = {name: value for name, value in part.items() if name not in _SEALS}
    return None if part.get("thought") is True or rest.get("text", rest) == "" else rest


_SEALS: Final = ("thoughtSignature", "thought_signature")


def _seal_of(part: Tree) -> object:
    """A part's seal, whose field has two spellings."""
    return part.get("thoughtSignature") or part.get("thought_signature")


def _is_call(part: object) -> bool:
    return type(part) is dict and ("functionCall" in part or "function_call" in part)


# --- all of them ------------------------------------------------------------------------------------------

_CLEANERS: Final[Mapping[Slug, Callable[[Tree, str], Tree]]] = {
    Slug("openai_chat"): _chat,
    Slug("openai_responses"): _responses,
    Slug("anthropic_messages"): _messages,
    Slug("anthropic_count"): _messages,
    Slug("gemini_generate"): _gemini,
}
