"""What calls in OpenAI's two text dialects have in common: fields, data URLs, tools, formats, efforts.

Source: OpenAI API reference, "Create chat completion" and "Create a model response".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from gateway.names import Slug
from gateway.stream.json_body import flag_in, list_in, refuse
from gateway.translation.canonical import (
    Ask,
    Choice,
    Effort,
    File,
    Format,
    Image,
    Text,
    Tool,
    ToolResult,
    Use,
)
from gateway.translation.losses import Loss, Losses

SYSTEM_ROLES: Final = ("system", "developer")

# --- what both dialects lose --------------------------------------------------------------------------

TOP_K: Final = Slug("top_k")
LOGPROBS: Final = Slug("logprobs")
BUDGET: Final = Slug("budget_tokens")
THOUGHTS: Final = Slug("thoughts")
STOP: Final = Slug("stop")
TIER: Final = Slug("tier")
STORE: Final = Slug("store")
SYSTEM_PLACE: Final = Slug("system_place")
SAFETY: Final = Slug("safety_identifier")
BREAKPOINT: Final = Slug("prompt_cache_breakpoint")
UNKNOWN_FIELD: Final = Slug("unknown_field")
FILE_ID: Final = Slug("file_id")
ASSISTANT_MEDIA: Final = Slug("assistant_media")
UNKNOWN_PART: Final = Slug("unknown_part")
UNKNOWN_TOOL: Final = Slug("unknown_tool")

PROVIDER_LOSSES: Final[Mapping[Slug, Loss]] = {
    TOP_K: Loss.DROPPED,
    LOGPROBS: Loss.DROPPED,  # an answer in the middle form has no place for them
    THOUGHTS: Loss.DROPPED,  # those of other makers, and those without a seal
    STOP: Loss.DROPPED,
    ASSISTANT_MEDIA: Loss.DROPPED,  # pictures and files in turns of the assistant
}
"""What the middle form can say and neither dialect can."""

CALLER_LOSSES: Final[Mapping[Slug, Loss]] = {
    LOGPROBS: Loss.DROPPED,
    TIER: Loss.DROPPED,
    STORE: Loss.DROPPED,  # only where it is true
    SYSTEM_PLACE: Loss.DROPPED,  # a later system text goes to the front
    SAFETY: Loss.DROPPED,  # only beside another user
    BREAKPOINT: Loss.DROPPED,
    UNKNOWN_FIELD: Loss.DROPPED,  # whatever this version does not know
    FILE_ID: Loss.REFUSED,  # a file that lies at the provider
    UNKNOWN_PART: Loss.REFUSED,  # a kind of part that this version does not know
    UNKNOWN_TOOL: Loss.REFUSED,  # a kind of tool that this version does not know
}
"""What of both dialects the middle form cannot hold."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A dialect's top-level fields: those that are read, those that are left out, those that are refused."""

    read: frozenset[str]
    dropped: Mapping[str, Slug]
    refused: Mapping[str, Slug]

    @property
    def losses(self) -> dict[Slug, Loss]:
        return {
            **dict.fromkeys(self.dropped.values(), Loss.DROPPED),
            **dict.fromkeys(self.refused.values(), Loss.REFUSED),
        }


def slugs(*names: str) -> dict[str, Slug]:
    """Field names with themselves as the names of the losses they are."""
    return {name: Slug(name) for name in names}


def check_fields(tree: Mapping[str, Any], fields: Fields, losses: Losses) -> None:
    """Leave out or refuse the fields that the middle form has no place for."""
    for name, value in tree.items():
        if name in fields.read or value is None:
            continue
        if name in fields.refused:
            if value is not False and value != "" and value != []:
                losses.refuse(fields.refused[name])
        elif name not in fields.dropped:
            losses.drop(UNKNOWN_FIELD)
        elif value:
            losses.drop(fields.dropped[name])


# --- reading ------------------------------------------------------------------------------------------


def text_in(tree: Mapping[str, Any], field: str, about: str = "") -> str:
    """A text; empty when missing or null.

    Raises:
        CallerError: it is something else.
    """
    value = tree.get(field)
    if value is None:
        return ""
    if type(value) is not str:
        refuse(about or field)
    return value


def number_in(tree: Mapping[str, Any], field: str) -> float | None:
    """A number; None when missing or null.

    Raises:
        CallerError: it is something else, also a boolean.
    """
    value = tree.get(field)
    if value is None:
        return None
    if type(value) not in (int, float):
        refuse(field)
    return float(value)


def object_of(value: object, about: str) -> dict[str, Any]:
    """The value, which must be an object."""
    if type(value) is not dict:
        refuse(about)
    return value


def user_in(tree: Mapping[str, Any], losses: Losses) -> str | None:
    """The caller's name for its user, from either of its two fields."""
    user = text_in(tree, "user")
    other = text_in(tree, "safety_identifier")
    if user and other and user != other:
        losses.drop(SAFETY)
    return user or other or None


_TIERS: Final = {
    "auto": "auto", "default": "default", "flex": "flex", "priority": "priority", "fast": "priority",
}  # fmt: skip


def tier_in(tree: Mapping[str, Any], losses: Losses) -> str | None:
    tier = text_in(tree, "service_tier")
    if tier and tier not in _TIERS:
        losses.drop(TIER)
    return _TIERS.get(tier)


def effort_in(tree: Mapping[str, Any], field: str, about: str) -> Effort | None:
    effort = text_in(tree, field, about)
    if effort and effort not in _EFFORTS:
        refuse(about)
    return Effort(effort) if effort else None


_EFFORTS: Final = frozenset(effort.value for effort in Effort)


def image_of(url: object, detail: object, about: str) -> Image:
    """A picture from what may be a data URL."""
    if type(url) is not str or not url or (detail is not None and type(detail) is not str):
        refuse(about)
    if not url.startswith("data:"):
        return Image(url=url, detail=detail or "")
    media_type, data = _parts_of_data_url(url, about)
    return Image(media_type=media_type, data=data, detail=detail or "")


def file_of(data: object, name: str, about: str) -> File:
    """A document from a data URL, or from bare base64: then it is taken for a PDF."""
    if type(data) is not str or not data:
        refuse(about)
    if not data.startswith("data:"):
        return File(media_type="application/pdf", data=data, name=name)
    media_type, base64 = _parts_of_data_url(data, about)
    return File(media_type=media_type, data=base64, name=name)


def _parts_of_data_url(url: str, about: str) -> tuple[str, str]:
    head, comma, data = url[5:].partition(",")
    media_type, *parameters = head.split(";")
    if not comma or "base64" not in parameters:
        refuse(about)
    return media_type, data


def tool_of(shape: Mapping[str, Any]) -> Tool:
    """A function, from the object that has its name."""
    name = text_in(shape, "name", "tools")
    schema = shape.get("parameters")
    strict = shape.get("strict")
    if not name or type(schema) not in (dict, type(None)) or type(strict) not in (bool, type(None)):
        refuse("tools")
    return Tool(name, text_in(shape, "description", "tools"), schema, strict)


_USES: Final = {"auto": Use.AUTO, "none": Use.NONE, "required": Use.ANY}


def choice_in(
    tree: Mapping[str, Any],
    tools: tuple[Tool, ...],
    name_of: Callable[[dict[str, Any]], object],
    losses: Losses,
) -> tuple[Choice | None, tuple[Tool, ...]]:
    """Which tools are to be used, and the tools: fewer where only some of them are allowed.

    Args:
        name_of: takes the function's name out of an object that names one.
    """
    wish = tree.get("tool_choice")
    parallel = None if tree.get("parallel_tool_calls") is None else flag_in(tree, "parallel_tool_calls")
    if wish is None:
        return (None if parallel is None else Choice(parallel=parallel)), tools
    if type(wish) is str:
        if wish not in _USES:
            refuse("tool_choice")
        return Choice(_USES[wish], (), parallel), tools
    shape = object_of(wish, "tool_choice")
    if shape.get("type") == "function":
        return Choice(Use.NAMED, (_name(shape, name_of),), parallel), tools
    if shape.get("type") != "allowed_tools":
        losses.refuse(UNKNOWN_TOOL)
    shape = object_of(shape.get("allowed_tools", shape), "tool_choice")
    names = tuple(_name(object_of(tool, "tool_choice"), name_of) for tool in list_in(shape, "tools"))
    if shape.get("mode") == "required" and names:
        return Choice(Use.NAMED, names, parallel), tools
    return Choice(Use.AUTO, (), parallel), tuple(tool for tool in tools if tool.name in names)


def _name(shape: dict[str, Any], name_of: Callable[[dict[str, Any]], object]) -> str:
    name = name_of(shape)
    if type(name) is not str or not name:
        refuse("tool_choice")
    return name


def format_of(kind: object, shape: Mapping[str, Any], about: str) -> Format | None:
    """The form of the answer.

    Args:
        kind: text, json_object or json_schema; None: text.
        shape: the object that has name and schema.
    """
    if kind is None or kind == "text":
        return None
    if kind == "json_object":
        return Format()
    schema = shape.get("schema")
    strict = shape.get("strict")
    if kind != "json_schema" or type(strict) not in (bool, type(None)):
        refuse(about)
    if type(schema) not in (dict, type(None)):
        refuse(about)
    return Format(
        schema={} if schema is None else schema,
        name=text_in(shape, "name", about),
        description=text_in(shape, "description", about),
        strict=strict,
    )


# --- writing ------------------------------------------------------------------------------------------

DETAILS: Final = ("low", "high", "auto", "original")


def url_of(part: Image | File) -> str:
    """Its URL, or a data URL with its data."""
    return part.url or f"data:{part.media_type};base64,{part.data}"


_ENDINGS: Final = {"application/pdf": ".pdf", "text/plain": ".txt", "text/csv": ".csv", "text/html": ".html"}


def file_name(file: File) -> str:
    """Its name; a file that is sent as data must have one."""
    return file.name or "document" + _ENDINGS.get(file.media_type, "")


def words_of(file: File) -> str:
    """A document of plain text, as words."""
    return f"{file.name}\n\n{file.text}" if file.name else file.text


FAILED: Final = "The tool failed: "
"""Stands before the result of a tool that failed, as the dialects have no other place for that."""


def shown_of(result: ToolResult) -> list[Text | Image | File]:
    """A result's parts, which begin with FAILED if the tool failed."""
    parts = list(result.parts)
    if not result.is_error:
        return parts
    first = parts[0] if parts else None
    if not isinstance(first, Text):
        return [Text(FAILED), *parts]
    return [Text(FAILED + first.text), *parts[1:]]


def tool_shape(tool: Tool) -> dict[str, Any]:
    """A function's name, description, parameters and strictness, as far as they are known."""
    shape: dict[str, Any] = {"name": tool.name}
    if tool.description:
        shape["description"] = tool.description
    if tool.schema is not None:
        shape["parameters"] = tool.schema
    if tool.strict is not None:
        shape["strict"] = tool.strict
    return shape


FORMAT_NAME: Final = "answer"
"""What a schema is called whose caller gave it no name: both dialects want one."""


def format_shape(form: Format) -> dict[str, Any]:
    """A schema with its name, description and strictness."""
    shape: dict[str, Any] = {"name": form.name or FORMAT_NAME, "schema": form.schema}
    if form.description:
        shape["description"] = form.description
    if form.strict is not None:
        shape["strict"] = form.strict
    return shape


USES: Final = {use: name for name, use in _USES.items()}

JSON_WISH: Final = "Answer in JSON."


def system_of(ask: Ask) -> tuple[Text, ...]:
    """The system texts; with a wish for JSON where the API insists that some text says so."""
    system = tuple(text for text in ask.system if text.text)
    if ask.format is None or ask.format.schema is not None:
        return system
    texts = [text.text for text in system]
    texts += [part.text for turn in ask.turns for part in turn.parts if isinstance(part, Text)]
    if any("json" in text.lower() for text in texts):
        return system
    return (*system, Text(JSON_WISH))


def short_id(id: str, most: int) -> str:
    """A tool call's id, in no more characters than the API allows: the same for call and result."""
    return id if len(id) <= most else "call_" + sha256(id.encode()).hexdigest()[:32]
