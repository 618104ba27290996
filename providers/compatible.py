"""Any server that speaks OpenAI's dialects: vLLM, Ollama, OpenRouter, Together and the like."""

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from gateway.content import Content, Document, Purpose, Secret
from gateway.contracts import Call, Headers, UpstreamRequest
from gateway.errors import UpstreamError
from gateway.names import Slug
from gateway.providers.asking import NEVER_PASSED, ask, checked_url
from gateway.providers.failures import classify
from gateway.providers.openai import bearer, chosen

_name = re.compile(r"[a-z0-9-]{1,64}").fullmatch
_value = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?").fullmatch
KEY_NAMES: Final = frozenset({"authorization", "api-key", "x-api-key"})
OWN_KEYS: Final = frozenset({"model", "stream", "store", "messages", "input", "max_tokens", "n"})
"""Keys of a body that change what a call is, or what it can cost."""


class Compatible:
    """A server found by its address alone."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """What is known of the server.

        Attributes:
            base_url: what OpenAI's own library would take, mostly ending in /v1.
            ask_usage: ask for usage on chat streams; false for servers that refuse stream_options.
            dialects: those the server has, such as ["openai_chat"]; empty: all of OpenAI's. Calls in others
                are translated, where they can be.
            headers: fields sent with every request, such as http-referer for OpenRouter.
            body: keys that every JSON body has, whatever the caller says, such as
                { provider = { data_collection = "deny" } } for OpenRouter.
        """

        base_url: str
        ask_usage: bool = True
        dialects: tuple[str, ...] = ()
        headers: dict[str, str] = field(default_factory=dict, repr=False)
        body: dict[str, Any] = field(default_factory=dict, repr=False)

    def __init__(self, config: Config) -> None:
        self._base_url = checked_url(config.base_url)
        self._ask_usage = config.ask_usage
        self._speaks = chosen(config.dialects)
        self._headers = _checked_headers(config.headers)
        self._body = config.body
        if not OWN_KEYS.isdisjoint(config.body):
            raise ValueError("body: " + ", ".join(sorted(OWN_KEYS)) + " are the call's own")

    @property
    def speaks(self) -> frozenset[Slug]:
        """OpenAI's dialects, or those configured; what the server lacks of them it refuses itself."""
        return self._speaks

    def request(self, call: Call, model: str, key: Secret | None) -> UpstreamRequest:
        """The call with our key as bearer, or with none where the server wants none."""
        if self._body and isinstance(call.body, Document):
            tree = _joined(call.body.open(Purpose.SEND), self._body)
            call = replace(call, body=Document(tree, call.body.size))
        return ask(self._base_url, call, model, self._headers + bearer(key), ask_usage=self.asks_usage(call))

    def failure(self, status: int, headers: Headers, body: Content) -> UpstreamError:
        """By status, and by OpenAI's codes where the server uses them."""
        return classify(status, headers, body)

    def asks_usage(self, call: Call) -> bool:
        """As configured, for chat streams."""
        return self._ask_usage and call.stream and call.dialect == "openai_chat"


def _joined(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """A caller's body with our keys, in objects that both have too; ours win."""
    joined = dict(theirs)
    for key, value in ours.items():
        said = joined.get(key)
        inside = isinstance(said, dict) and isinstance(value, dict)
        joined[key] = _joined(said or {}, value) if inside else value
    return joined


def _checked_headers(headers: dict[str, str]) -> Headers:
    fields = tuple((name.lower(), value) for name, value in headers.items())
    if len({name for name, _ in fields}) < len(fields):
        raise ValueError("headers: a name is there twice")
    for name, value in fields:
        if _name(name) is None or _value(value) is None:
            raise ValueError("headers: a name or value cannot stand in an HTTP header")
        if name in KEY_NAMES:
            raise ValueError("headers: a key belongs into api_key, where it is kept safe")
        if name in NEVER_PASSED - {"user-agent"}:
            raise ValueError("headers: this name is made by the gateway itself")
    return fields


if TYPE_CHECKING:
    from gateway.contracts import Provider

    _: type[Provider] = Compatible
