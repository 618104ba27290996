"""The middle form: a call and its answer between two dialects. It shows nothing of the text it holds.

A call is an Ask. An answer, whole or streamed, is a sequence of events:

    Begin, then any mix of TextDelta, ThoughtDelta, ToolBegin/ToolDelta, Tally, then one End

or Broken in place of what is missing, when the provider reports an error inside its answer. A whole
answer is the same sequence with one delta for each part, so that there is one way to say things.
These values live for one translation; none of them is stored, logged or compared with text.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gateway.usage import Usage


def hidden(self: object) -> str:
    """What every value here shows of itself: its kind."""
    return f"<{type(self).__name__.lower()}>"


# --- parts of a turn -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Text:
    """Words."""

    text: str
    __repr__ = hidden


@dataclass(frozen=True, slots=True, repr=False)
class Image:
    """A picture: base64 data with its media type, or a URL. detail as the caller asked: low, high, auto."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    detail: str = ""
    __repr__ = hidden


@dataclass(frozen=True, slots=True, repr=False)
class File:
    """A document: base64 data with its media type, or a URL, or plain text (media type text/plain)."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    text: str = ""
    name: str = ""
    __repr__ = hidden


@dataclass(frozen=True, slots=True, repr=False)
class Sound:
    """Audio: base64 data and its format, such as "wav" or "mp3"."""

    format: str
    data: str
    __repr__ = hidden


class Maker(StrEnum):
    """Whose signature it is: nobody else can read it, so it is only ever sent back there."""

    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    OPENAI = "openai"


@dataclass(frozen=True, slots=True, repr=False)
class Thought:
    """Reasoning. signature is its maker's seal (Anthropic's signature, OpenAI's encrypted content,
    Gemini's thoughtSignature); sealed data without any words is a redacted thought."""

    text: str = ""
    signature: str = ""
    maker: Maker | None = None
    redacted: bool = False
    __repr__ = hidden


@dataclass(frozen=True, slots=True, repr=False)
class ToolCall:
    """A wish of the model to have a function called.

    arguments: JSON text, as dialects that stream it give it. signature: Gemini's thoughtSignature of the
    call, which must come back unchanged; dialects without a place for it carry it inside the id, see
    carried_id().
    """

    id: str
    name: str
    arguments: str
    signature: str = ""
    __repr__ = hidden


Shown = Text | Image | File


@dataclass(frozen=True, slots=True, repr=False)
class ToolResult:
    """What a called function gave back. name is empty where the dialect does not repeat it."""

    id: str
    parts: tuple[Shown, ...]
    name: str = ""
    is_error: bool = False
    __repr__ = hidden


Part = Text | Image | File | Sound | Thought | ToolCall | ToolResult


class Role(StrEnum):
    """Who speaks. System texts stand in Ask.system; a tool's results are parts of a user's turn."""

    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True, repr=False)
class Turn:
    """What one side says. Neighbouring turns of one role are merged by turns_of()."""

    role: Role
    parts: tuple[Part, ...]
    __repr__ = hidden


# --- a call ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Tool:
    """A function the model may ask for. schema: the JSON schema of its arguments; None: it has none."""

    name: str
    description: str = ""
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    __repr__ = hidden


class Use(StrEnum):
    """Whether tools are to be used."""

    AUTO = "auto"
    ANY = "any"  # at least one
    NONE = "none"
    NAMED = "named"


@dataclass(frozen=True, slots=True, repr=False)
class Choice:
    """Which tools are to be used. names: of NAMED, one or more. parallel False: at most one call a turn."""

    use: Use = Use.AUTO
    names: tuple[str, ...] = ()
    parallel: bool | None = None
    __repr__ = hidden


@dataclass(frozen=True, slots=True, repr=False)
class Format:
    """The form that the answer must have: JSON, and by a schema if there is one."""

    schema: dict[str, Any] | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None
    __repr__ = hidden


class Effort(StrEnum):
    """How hard to think, weakest first; the order matters, see EFFORTS."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


EFFORTS: Final = tuple(Effort)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Reasoning:
    """How to think. effort or budget_tokens, whichever was said; shown: the caller wants to see it."""

    effort: Effort | None = None
    budget_tokens: int | None = None
    shown: bool | None = None
    __repr__ = hidden


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Ask:
    """A call for text.

    Attributes:
        system: system and developer texts, in order.
        max_output: most output tokens; None when the caller does not say.
        user: the caller's name for its user; goes to a provider that has a field for it, nowhere else.
        logprobs: alternatives wanted for each token; 0: the chosen one's only; None: not asked for.
        tier: service tier in OpenAI's words (auto, default, flex, priority).
    """

    system: tuple[Text, ...] = ()
    turns: tuple[Turn, ...] = ()
    tools: tuple[Tool, ...] = ()
    choice: Choice | None = None
    max_output: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: int | None = None
    format: Format | None = None
    reasoning: Reasoning | None = None
    user: str | None = None
    tier: str | None = None
    stream: bool = False
    __repr__ = hidden


def turns_of(turns: list[Turn]) -> tuple[Turn, ...]:
    """Turns with neighbours of one role merged and empty ones left out."""
    merged: list[Turn] = []
    for turn in turns:
        if not turn.parts:
            continue
        if merged and merged[-1].role is turn.role:
            merged[-1] = Turn(turn.role, merged[-1].parts + turn.parts)
        else:
            merged.append(turn)
    return tuple(merged)


# --- an answer -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Begin:
    """An answer begins. id: the provider's own, empty where it gives none."""

    id: str = ""
    __repr__ = hidden


@dataclass(frozen=True, slots=True, repr=False)
class TextDelta:
    """More words of the answer. Ends a thought or tool call that is under way."""

    text: str
    __repr__ = hidden


@dataclass(frozen=True, slots=True, repr=False)
class ThoughtDelta:
    """More reasoning, or, with a signature, the seal of the reasoning so far."""

    text: str = ""
    signature: str = ""
    maker: Maker | None = None
    redacted: bool = False
    __repr__ = hidden


@dataclass(frozen=True, slots=True, repr=False)
class ToolBegin:
    """A tool call begins; index counts tool calls from 0."""

    index: int
    id: str
    name: str
    signature: str = ""
    __repr__ = hidden


@dataclass(frozen=True, slots=True, repr=False)
class ToolDelta:
    """More of a tool call's arguments: JSON text, cut anywhere. Only of the call that began last."""

    index: int
    arguments: str
    __repr__ = hidden


@dataclass(frozen=True, slots=True, repr=False)
class Refusal:
    """Words with which the model declines, where a dialect keeps them apart from its answer."""

    text: str
    __repr__ = hidden


@dataclass(frozen=True, slots=True, repr=False)
class Tally:
    """The tokens so far; the last one counts."""

    usage: Usage
    __repr__ = hidden


class Stop(StrEnum):
    """Why an answer ended."""

    END = "end"
    LENGTH = "length"
    TOOLS = "tools"
    STOP_SEQUENCE = "stop_sequence"
    FILTERED = "filtered"
    PAUSED = "paused"  # Anthropic's pause_turn: a long turn of server tools is to be gone on with


@dataclass(frozen=True, slots=True, repr=False)
class End:
    """An answer has ended. sequence: the stop sequence, where the provider tells it."""

    stop: Stop
    sequence: str = ""
    __repr__ = hidden


@dataclass(frozen=True, slots=True, repr=False)
class Broken:
    """The provider reports an error inside its answer. busy: it asks to come back later."""

    busy: bool = False
    __repr__ = hidden


Event = Begin | TextDelta | ThoughtDelta | ToolBegin | ToolDelta | Refusal | Tally | End | Broken


# --- errors ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Complaint:
    """A provider's error answer in words, for the caller whose call it is about."""

    status: int
    message: str
    __repr__ = hidden


# --- signatures inside ids -----------------------------------------------------------------------------

SEAL: Final = "__sig__"
"""Between an id and the signature that it carries. All its characters may stand in any dialect's ids."""


def carried_id(id: str, signature: str) -> str:
    """A tool call's id with the signature that must come back with it, for dialects without a field.

    The signature is base64; its "+", "/" and "=" are written in letters that every dialect allows.
    """
    if not signature:
        return id
    return id + SEAL + signature.replace("-", "-m").replace("+", "-p").replace("/", "-s").replace("=", "-e")


def parted_id(id: str) -> tuple[str, str]:
    """The id and the signature that carried_id() put together."""
    bare, seal, carried = id.partition(SEAL)
    if not seal:
        return id, ""
    for short, sign in (("-e", "="), ("-s", "/"), ("-p", "+"), ("-m", "-")):
        carried = carried.replace(short, sign)
    return bare, carried
