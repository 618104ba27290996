"""Header fields and query of a request: the key, the tags, and what may be read or passed back."""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_plus

from gateway.content import Secret
from gateway.contracts import NO_TAGS, Headers, Tags
from gateway.errors import CallerError
from gateway.names import Slug
from gateway.usage import Nanos

RawHeaders = tuple[tuple[bytes, bytes], ...]
"""Header fields as they came."""

Query = tuple[tuple[str, str], ...]

KEY_NAMES: Final = ("x-api-key", "x-goog-api-key", "api-key")
"""Where a key may stand besides authorization and ?key=."""

_READABLE: Final = frozenset({"accept", "idempotency-key", "user-agent", "x-server-timeout"})
_READABLE_PREFIXES: Final = ("anthropic-", "groq-", "openai-", "x-goog-", "x-stainless-")
_SINGLE: Final = frozenset({"anthropic-version", "idempotency-key", "x-server-timeout"})
_TAGS: Final = ("feature", "environment", "session", "customer", "task", "route", "strict", "max-cost")
_KNOWN_QUERY: Final = frozenset(
    {"key", "alt", "beta", "api-version", "pageSize", "pageToken", "limit", "after", "after_id", "before_id"}
)
_MAX_CACHED_NAMES: Final = 512

_request_line = re.compile(rb"[A-Z]{3,7} /[!-~]* HTTP/1\.[01]\r\n").match
_tag_allowed = re.compile(r"[A-Za-z0-9._:/-]{1,64}").fullmatch
_dollars = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,9}))?").fullmatch
_host_allowed = re.compile(
    rb"[A-Za-z0-9._-]{1,255}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?"
).fullmatch


class Head:
    """A request's header fields, sorted by what they are to us.

    Attributes:
        fields: what a dialect may read, by lower-case name. A key's header is there with an empty
            value, so that dialects can be told apart by it.
        keys: every key that came along, wherever it stood.
        fault: the first field that cannot be accepted; raised when the call is read.
        conflict: keys that contradict each other; nothing is done for such a request.
    """

    # Class attributes are the defaults: most requests set three of these.
    tags: Tags = NO_TAGS
    raw_tags: dict[str, str] | None = None
    hosts = 0
    odd_host = False
    content_type = ""
    content_encoding = ""
    transfer_encoding = ""
    expect = ""
    forwarded_for = ""
    fault: CallerError | None = None
    conflict: CallerError | None = None

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.keys: list[str] = []

    def presented(self) -> Secret | None:
        """The key that came along."""
        return Secret(self.keys[0]) if self.keys else None


_Taker = Callable[[Head, str, str], None]


class HeaderReader:
    """Reads header fields in one pass, by a table of names that it fills as it goes."""

    def __init__(self, feature_headers: tuple[str, ...] = ()) -> None:
        self._features = {name.lower() for name in feature_headers}
        self._seen: dict[bytes, tuple[_Taker | None, str]] = {}

    def read(self, raw: RawHeaders) -> Head:
        """Sort the fields. Faults are kept in the result, not raised: the dialect is not known yet."""
        head = Head()
        seen = self._seen
        for raw_name, raw_value in raw:
            take, name = seen.get(raw_name) or self._taker(raw_name)
            if take is None:
                continue
            if raw_value.isascii():
                take(head, name, raw_value.decode("ascii"))
            elif name != "user-agent":
                head.fault = head.fault or _bad(name)
        if head.raw_tags is not None:
            head.tags = _read_tags(head, head.raw_tags)
        return head

    def _taker(self, raw_name: bytes) -> tuple[_Taker | None, str]:
        name = raw_name.decode("latin-1").lower()
        take = _TAKERS.get(name)
        if take is None:
            if name in self._features or (name.startswith("x-gateway-") and name[10:] in _TAGS):
                take = _take_tag
            elif name in _READABLE or name.startswith(_READABLE_PREFIXES):
                take = _take_field
        if len(self._seen) < _MAX_CACHED_NAMES and len(raw_name) <= 64:
            self._seen[raw_name] = (take, name)
        return take, name


def _read_tags(head: Head, found: dict[str, str]) -> Tags:
    names: dict[str, Slug | None] = {}
    route_off = strict = False
    max_cost: Nanos | None = None
    for name, value in found.items():
        tag = name[10:] if name.startswith("x-gateway-") else "feature"
        if tag == "route" and value == "off":
            route_off = True
        elif tag == "strict" and value == "on":
            strict = True
        elif tag == "max-cost" and (amount := _dollars(value)) is not None:
            max_cost = Nanos(int(amount[1]) * 10**9 + int((amount[2] or "").ljust(9, "0")))
        elif tag in ("route", "strict", "max-cost") or _tag_allowed(value) is None:
            head.fault = head.fault or _bad(name)
        elif tag != "feature" or name == "x-gateway-feature" or "feature" not in names:
            names[tag] = Slug(value)
    return Tags(
        feature=names.get("feature"),
        environment=names.get("environment"),
        session=names.get("session"),
        customer=names.get("customer"),
        task=names.get("task"),
        route_off=route_off,
        strict=strict,
        max_cost=max_cost,
    )


def _bad(name: str) -> CallerError:
    return CallerError("bad_request", about=name)


def _take_field(head: Head, name: str, value: str) -> None:
    before = head.fields.get(name)
    if before is None:
        head.fields[name] = value
    elif name in _SINGLE:
        head.fault = head.fault or _bad(name)
    elif name != "user-agent":
        head.fields[name] = f"{before}, {value}"


def _take_tag(head: Head, name: str, value: str) -> None:
    if head.raw_tags is None:
        head.raw_tags = {}
    if head.raw_tags.setdefault(name, value) != value:
        head.fault = head.fault or _bad(name)


def _take_authorization(head: Head, name: str, value: str) -> None:
    if name in head.fields:
        head.conflict = _bad(name)
    head.fields[name] = ""
    scheme, _, token = value.partition(" ")
    if scheme.lower() == "bearer" and (token := token.strip()):
        _add_key(head, name, token)


def _take_key(head: Head, name: str, value: str) -> None:
    if name in head.fields:
        head.conflict = _bad(name)
    head.fields[name] = ""
    if value:
        _add_key(head, name, value)


def _add_key(head: Head, name: str, key: str) -> None:
    if head.keys and head.keys[0] != key:
        head.conflict = head.conflict or _bad(name)
    head.keys.append(key)


def _take_host(head: Head, name: str, value: str) -> None:
    head.hosts += 1
    if _host_allowed(value.encode()) is None:
        head.odd_host = True


def _take_content_type(head: Head, name: str, value: str) -> None:
    head.content_type = value


def _take_content_encoding(head: Head, name: str, value: str) -> None:
    head.content_encoding = (
        f"{head.content_encoding},{value.lower()}" if head.content_encoding else value.lower()
    )


def _take_transfer_encoding(head: Head, name: str, value: str) -> None:
    head.transfer_encoding = f"{head.transfer_encoding},{value}" if head.transfer_encoding else value.lower()


def _take_expect(head: Head, name: str, value: str) -> None:
    head.expect = f"{head.expect},{value}" if head.expect else value.lower()


def _take_forwarded_for(head: Head, name: str, value: str) -> None:
    head.forwarded_for = f"{head.forwarded_for},{value}" if head.forwarded_for else value


_TAKERS: Final[dict[str, _Taker]] = {
    "authorization": _take_authorization,
    "content-encoding": _take_content_encoding,
    "content-type": _take_content_type,
    "expect": _take_expect,
    "host": _take_host,
    "transfer-encoding": _take_transfer_encoding,
    "x-forwarded-for": _take_forwarded_for,
    **dict.fromkeys(KEY_NAMES, _take_key),
}


def read_query(text: str, head: Head) -> Query:
    """The decoded pairs of a query, without the caller's key, which goes to head.

    A name that we know and that comes twice is a fault: two readers could disagree on which counts.
    """
    pairs = []
    seen = set()
    for part in text.split("&"):
        if not part:
            continue
        raw_name, _, raw_value = part.partition("=")
        try:
            name, value = unquote_plus(raw_name, errors="strict"), unquote_plus(raw_value, errors="strict")
        except UnicodeDecodeError:
            head.fault = head.fault or _bad("query")
            continue
        if name in seen and name in _KNOWN_QUERY:
            if name == "key":
                head.conflict = _bad("key")
            head.fault = head.fault or _bad(name)
        seen.add(name)
        if name == "key":
            head.fields.setdefault("x-goog-api-key", "")
            if value:
                _add_key(head, "key", value)
        else:
            pairs.append((name, value))
    return tuple(pairs)


_PASS_BACK: Final = frozenset(
    {
        "cache-control", "content-type", "request-id", "retry-after", "retry-after-ms",
        "x-request-id", "x-should-retry",
    }
)  # fmt: skip
_PASS_BACK_PREFIXES: Final = ("anthropic-ratelimit-", "openai-", "x-ratelimit-")
# These two would show callers whose account the operator uses.
_KEPT_BACK: Final = frozenset({"openai-organization", "openai-project"})
_passes: dict[str, bool] = {}


def pass_back(headers: Headers) -> list[tuple[str, str]]:
    """What of a provider's answer headers a caller may see; nothing else ever is passed on."""
    passed = []
    for pair in headers:
        name, value = pair
        passes = _passes.get(name)
        if passes is None:
            passes = _may_pass(name)
        if passes and value.isascii() and value.isprintable():
            passed.append(pair)
    return passed


def _may_pass(name: str) -> bool:
    lower = name.lower()
    passes = lower not in _KEPT_BACK and (lower in _PASS_BACK or lower.startswith(_PASS_BACK_PREFIXES))
    if len(_passes) < _MAX_CACHED_NAMES and len(name) <= 64:
        _passes[name] = passes
    return passes


def is_plain(value: str) -> bool:
    """Whether a header value holds printable ASCII only, so that it cannot end its line."""
    return value.isascii() and value.isprintable()


def with_one_agent(data: bytes) -> bytes:
    """The data with the first User-Agent field only; empty if it does not begin with a request line."""
    if _request_line(data) is None:
        return b""
    head, blank, rest = data.partition(b"\r\n\r\n")
    lines = []
    seen = False
    for line in head.split(b"\r\n"):
        if line[:11].lower() == b"user-agent:":
            if seen:
                continue
            seen = True
        lines.append(line)
    return b"\r\n".join(lines) + blank + rest
