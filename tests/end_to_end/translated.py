"""Four official libraries asking the same questions, whatever speaks behind the gateway."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any, Protocol

import anthropic
import openai
from google import genai
from google.genai import types

from tests.end_to_end.calls import PIXEL, SCHEMA
from tests.end_to_end.stand import Stand

DESCRIPTION = "Tells the weather of a city."
TOOL = "get_weather"


@dataclass(frozen=True, slots=True)
class Said:
    """What a library made of an answer.

    Attributes:
        calls: name and arguments of each tool call.
        turn: the answer in the library's own form, to be sent back as a part of the history.
        stop: end, tools, length or filtered.
    """

    text: str
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    thoughts: str = ""
    stop: str = "end"
    input: int = 0
    output: int = 0
    turn: Any = None


class Library(Protocol):
    """An official library as a caller."""

    async def ask(
        self,
        model: str,
        text: str,
        *,
        stream: bool = False,
        system: str = "",
        history: tuple[tuple[str, str], ...] = (),
        tools: bool = False,
        picture: bool = False,
        schema: bool = False,
        effort: bool = False,
        most: int = 500,
    ) -> Said: ...

    async def answer_tools(self, model: str, text: str, said: Said, results: list[str]) -> Said: ...

    async def close(self) -> None: ...


def library(name: str, stand: Stand) -> Library:
    """The library of a caller's dialect."""
    return {
        "openai_chat": Chat,
        "openai_responses": Responses,
        "anthropic_messages": Messages,
        "gemini_generate": Gemini,
    }[name](stand)


class Chat:
    """openai's chat.completions."""

    def __init__(self, stand: Stand) -> None:
        self._client = openai.AsyncOpenAI(
            base_url=f"{stand.gateway.url}/v1", api_key=stand.key, max_retries=0
        )

    async def ask(
        self, model: str, text: str, *, stream: bool = False, system: str = "",
        history: tuple[tuple[str, str], ...] = (), tools: bool = False, picture: bool = False,
        schema: bool = False, effort: bool = False, most: int = 500,
    ) -> Said:  # fmt: skip
        messages: list[Any] = [{"role": "system", "content": system}] if system else []
        messages += [{"role": role, "content": words} for role, words in history]
        parts: list[Any] = [{"type": "text", "text": text}]
        if picture:
            parts.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}})
        messages.append({"role": "user", "content": parts if picture else text})
        more: dict[str, Any] = {}
        if tools:
            more |= {"tools": [_chat_tool()], "tool_choice": "required"}
        if schema:
            form = {"name": "report", "schema": SCHEMA, "strict": True}
            more |= {"response_format": {"type": "json_schema", "json_schema": form}}
        if effort:
            more |= {"reasoning_effort": "low"}
        return await self._send(model, messages, stream, {"max_completion_tokens": most, **more})

    async def answer_tools(self, model: str, text: str, said: Said, results: list[str]) -> Said:
        messages: list[Any] = [{"role": "user", "content": text}, said.turn]
        for id, result in zip(said.ids, results, strict=True):
            messages.append({"role": "tool", "tool_call_id": id, "content": result})
        return await self._send(model, messages, False, {"tools": [_chat_tool()]})

    async def _send(self, model: str, messages: list[Any], stream: bool, more: dict[str, Any]) -> Said:
        if stream:
            more["stream_options"] = {"include_usage": True}
            async with self._client.chat.completions.stream(model=model, messages=messages, **more) as events:
                answer: Any = await events.get_final_completion()
        else:
            answer = await self._client.chat.completions.create(model=model, messages=messages, **more)
        choice, calls = answer.choices[0], answer.choices[0].message.tool_calls or []
        stops = {"stop": "end", "tool_calls": "tools", "length": "length", "content_filter": "filtered"}
        return Said(
            text=choice.message.content or "",
            calls=[(call.function.name, json.loads(call.function.arguments)) for call in calls],
            ids=[call.id for call in calls],
            thoughts=getattr(choice.message, "reasoning_content", None) or "",
            stop=stops[choice.finish_reason],
            input=answer.usage.prompt_tokens,
            output=answer.usage.completion_tokens,
            turn=choice.message.model_dump(exclude_none=True, exclude={"parsed"}),
        )

    async def close(self) -> None:
        await self._client.close()


def _chat_tool() -> Any:
    function = {"name": TOOL, "description": DESCRIPTION, "parameters": SCHEMA}
    return {"type": "function", "function": function}


class Responses:
    """openai's responses."""

    def __init__(self, stand: Stand) -> None:
        self._client = openai.AsyncOpenAI(
            base_url=f"{stand.gateway.url}/v1", api_key=stand.key, max_retries=0
        )

    async def ask(
        self, model: str, text: str, *, stream: bool = False, system: str = "",
        history: tuple[tuple[str, str], ...] = (), tools: bool = False, picture: bool = False,
        schema: bool = False, effort: bool = False, most: int = 500,
    ) -> Said:  # fmt: skip
        items: list[Any] = [{"role": role, "content": words} for role, words in history]
        parts: list[Any] = [{"type": "input_text", "text": text}]
        if picture:
            parts.append({"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"})
        items.append({"role": "user", "content": parts})
        more: dict[str, Any] = {"max_output_tokens": most, "store": False}
        if system:
            more |= {"instructions": system}
        if tools:
            more |= {"tools": [_flat_tool()], "tool_choice": "required"}
        if schema:
            form = {"type": "json_schema", "name": "report", "schema": SCHEMA, "strict": True}
            more |= {"text": {"format": form}}
        if effort:
            more |= {"reasoning": {"effort": "low", "summary": "auto"}}
        return await self._send(model, items, stream, more)

    async def answer_tools(self, model: str, text: str, said: Said, results: list[str]) -> Said:
        items: list[Any] = [{"role": "user", "content": text}, *said.turn]
        for id, result in zip(said.ids, results, strict=True):
            items.append({"type": "function_call_output", "call_id": id, "output": result})
        return await self._send(model, items, False, {"tools": [_flat_tool()], "store": False})

    async def _send(self, model: str, items: list[Any], stream: bool, more: dict[str, Any]) -> Said:
        if stream:
            async with self._client.responses.stream(model=model, input=items, **more) as events:
                answer: Any = await events.get_final_response()
        else:
            answer = await self._client.responses.create(model=model, input=items, **more)
        calls = [item for item in answer.output if item.type == "function_call"]
        thoughts = [item for item in answer.output if item.type == "reasoning"]
        stop = "tools" if calls else "end"
        if answer.status == "incomplete":
            reasons = {"max_output_tokens": "length", "content_filter": "filtered"}
            stop = reasons[answer.incomplete_details.reason]
        return Said(
            text=answer.output_text,
            calls=[(call.name, json.loads(call.arguments)) for call in calls],
            ids=[call.call_id for call in calls],
            thoughts="".join(part.text for item in thoughts for part in item.summary),
            stop=stop,
            input=answer.usage.input_tokens,
            output=answer.usage.output_tokens,
            turn=[item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output],
        )

    async def close(self) -> None:
        await self._client.close()


def _flat_tool() -> Any:
    flat = {"type": "function", "name": TOOL, "description": DESCRIPTION, "parameters": SCHEMA}
    return {**flat, "strict": False}


class Messages:
    """anthropic's messages."""

    def __init__(self, stand: Stand) -> None:
        self._client = anthropic.AsyncAnthropic(base_url=stand.gateway.url, api_key=stand.key, max_retries=0)

    async def ask(
        self, model: str, text: str, *, stream: bool = False, system: str = "",
        history: tuple[tuple[str, str], ...] = (), tools: bool = False, picture: bool = False,
        schema: bool = False, effort: bool = False, most: int = 500,
    ) -> Said:  # fmt: skip
        messages: list[Any] = [{"role": role, "content": words} for role, words in history]
        parts: list[Any] = [{"type": "text", "text": text}]
        if picture:
            source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
            parts.append({"type": "image", "source": source})
        messages.append({"role": "user", "content": parts})
        more: dict[str, Any] = {"max_tokens": 9000 if effort else most}
        if system:
            more |= {"system": system}
        if tools:
            more |= {"tools": [_claude_tool()], "tool_choice": {"type": "any"}}
        if schema:
            more |= {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
        if effort:
            more |= {"thinking": {"type": "enabled", "budget_tokens": 2000}}
        return await self._send(model, messages, stream, more)

    async def answer_tools(self, model: str, text: str, said: Said, results: list[str]) -> Said:
        told = [
            {"type": "tool_result", "tool_use_id": id, "content": result}
            for id, result in zip(said.ids, results, strict=True)
        ]
        turns = [{"role": "user", "content": text}, {"role": "assistant", "content": said.turn}]
        messages: list[Any] = [*turns, {"role": "user", "content": told}]
        return await self._send(model, messages, False, {"max_tokens": 500, "tools": [_claude_tool()]})

    async def _send(self, model: str, messages: list[Any], stream: bool, more: dict[str, Any]) -> Said:
        if stream:
            async with self._client.messages.stream(model=model, messages=messages, **more) as events:
                answer: Any = await events.get_final_message()
        else:
            answer = await self._client.messages.create(model=model, messages=messages, **more)
        calls = [block for block in answer.content if block.type == "tool_use"]
        stops = {"end_turn": "end", "tool_use": "tools", "max_tokens": "length", "refusal": "filtered"}
        usage = answer.usage
        return Said(
            text="".join(block.text for block in answer.content if block.type == "text"),
            calls=[(call.name, call.input) for call in calls],
            ids=[call.id for call in calls],
            thoughts="".join(block.thinking for block in answer.content if block.type == "thinking"),
            stop=stops[answer.stop_reason],
            input=usage.input_tokens
            + (usage.cache_read_input_tokens or 0)
            + (usage.cache_creation_input_tokens or 0),
            output=usage.output_tokens,
            turn=[block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in answer.content],
        )

    async def close(self) -> None:
        await self._client.close()


def _claude_tool() -> Any:
    return {"name": TOOL, "description": DESCRIPTION, "input_schema": SCHEMA}


class Gemini:
    """google-genai's generate_content."""

    def __init__(self, stand: Stand) -> None:
        self._client = genai.Client(
            api_key=stand.key, http_options=types.HttpOptions(base_url=stand.gateway.url)
        )

    async def ask(
        self, model: str, text: str, *, stream: bool = False, system: str = "",
        history: tuple[tuple[str, str], ...] = (), tools: bool = False, picture: bool = False,
        schema: bool = False, effort: bool = False, most: int = 500,
    ) -> Said:  # fmt: skip
        roles = {"user": "user", "assistant": "model"}
        contents: list[Any] = [
            types.Content(role=roles[role], parts=[types.Part(text=words)]) for role, words in history
        ]
        parts = [types.Part(text=text)]
        if picture:
            parts.append(types.Part.from_bytes(data=base64.b64decode(PIXEL), mime_type="image/png"))
        contents.append(types.Content(role="user", parts=parts))
        more: dict[str, Any] = {"max_output_tokens": most}
        if system:
            more |= {"system_instruction": system}
        if tools:
            calling = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
            more |= {
                "tools": [_google_tool()],
                "tool_config": types.ToolConfig(function_calling_config=calling),
            }
        if schema:
            more |= {"response_mime_type": "application/json", "response_json_schema": SCHEMA}
        if effort:
            more |= {"thinking_config": types.ThinkingConfig(thinking_budget=1024, include_thoughts=True)}
        return await self._send(model, contents, stream, more)

    async def answer_tools(self, model: str, text: str, said: Said, results: list[str]) -> Said:
        told = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=id or None, name=name, response={"output": result}
                )
            )
            for id, (name, _), result in zip(said.ids, said.calls, results, strict=True)
        ]
        asked = types.Content(role="user", parts=[types.Part(text=text)])
        contents = [asked, said.turn, types.Content(role="user", parts=told)]
        return await self._send(model, contents, False, {"tools": [_google_tool()]})

    async def _send(self, model: str, contents: list[Any], stream: bool, more: dict[str, Any]) -> Said:
        config = types.GenerateContentConfig(**more)
        models = self._client.aio.models
        if stream:
            got: list[Any] = [
                chunk
                async for chunk in await models.generate_content_stream(
                    model=model, contents=contents, config=config
                )
            ]
        else:
            got = [await models.generate_content(model=model, contents=contents, config=config)]
        parts = [
            part
            for chunk in got
            for candidate in chunk.candidates or []
            for part in (candidate.content.parts or [] if candidate.content else [])
        ]
        calls = [part.function_call for part in parts if part.function_call]
        reasons = [one.finish_reason for chunk in got for one in chunk.candidates or [] if one.finish_reason]
        stops = {"STOP": "tools" if calls else "end", "MAX_TOKENS": "length", "SAFETY": "filtered"}
        usage = [chunk.usage_metadata for chunk in got if chunk.usage_metadata][-1]
        return Said(
            text="".join(part.text for part in parts if part.text and not part.thought),
            calls=[(call.name, call.args) for call in calls],
            ids=[call.id or "" for call in calls],
            thoughts="".join(part.text for part in parts if part.text and part.thought),
            stop=stops[reasons[-1].value],
            input=usage.prompt_token_count,
            output=(usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
            turn=types.Content(role="model", parts=parts),
        )

    async def close(self) -> None:
        await self._client.aio.aclose()
        self._client.close()


def _google_tool() -> types.Tool:
    declared = types.FunctionDeclaration(name=TOOL, description=DESCRIPTION, parameters_json_schema=SCHEMA)
    return types.Tool(function_declarations=[declared])
