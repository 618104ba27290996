"""How a request to a provider is put together, whatever the provider."""

from typing import Final
from urllib.parse import urlsplit

from gateway import __version__
from gateway.contracts import Call, Headers, UpstreamRequest
from gateway.dialects import DIALECTS

AGENT: Final = ("user-agent", f"tollgate/{__version__}")

NEVER_PASSED: Final = frozenset({
    "authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "proxy-authorization",
    "host", "connection", "content-length", "content-type", "transfer-encoding", "accept-encoding",
    "te", "trailer", "upgrade", "keep-alive", "expect", "forwarded", "x-forwarded-for", "user-agent",
})  # fmt: skip
"""Header fields that are made here or not at all, should a dialect's allow-list ever name one."""


def ask(base_url: str, call: Call, model: str, ours: Headers, *, ask_usage: bool = False) -> UpstreamRequest:
    """The request for a call.

    Args:
        base_url: without a slash at its end.
        model: as the provider knows it.
        ours: header fields of this provider, its key among them; they replace the caller's of the same name.
        ask_usage: the provider reports the usage of a stream only when asked.
    """
    dialect = DIALECTS[call.dialect]
    fixed = {name for name, _ in ours}
    agent = () if "user-agent" in fixed else (AGENT,)
    passed = tuple(pair for pair in call.headers if pair[0] not in fixed and pair[0] not in NEVER_PASSED)
    return UpstreamRequest(
        method="POST",
        url=base_url + dialect.path(call, model),
        headers=(("content-type", call.content_type), *agent, *passed, *ours),
        body=dialect.with_model(call, model, ask_usage),
    )


def checked_url(text: str) -> str:
    """A base URL without its final slashes.

    Raises:
        ValueError: it is no plain http or https address. The text does not quote it, as it may hold a key.
    """
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("base_url: expected http://HOST or https://HOST, with an optional port and path")
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise ValueError("base_url: no user, query or fragment may be in it; a key goes to api_key")
    return text.rstrip("/")
