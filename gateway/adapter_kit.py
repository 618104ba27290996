"""The conformance kit for providers: any package can run it on its own adapter, without a network."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import partial
from typing import Any, Final, TextIO

import orjson

from gateway.adapter_scripts import ASKED, CALLERS_KEY, UNKNOWN, Script, generic_scripts
from gateway.content import Content, Document, Purpose, Secret
from gateway.contracts import Call, Dialect, Filter, Meter, Provider, UpstreamRequest
from gateway.dialects import DIALECTS
from gateway.errors import (
    CredentialDead,
    GatewayError,
    UpstreamBusy,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.names import Slug
from gateway.usage import Reading

# An adapter only prepares and interprets, so all of it can be tried here: for each script the
# request is looked at as it would go out, the answer goes through the dialect's meter cut in many
# ways, and failure() sees each status with sound, foreign and broken bodies. Nothing raised by an
# adapter ends the run: it becomes a finding.

TARGET: Final = "kit-target"
"""The model that every request must be made for."""

KEY: Final = "kit-providers-secret-key"
PLACE: Final = "https://provider.invalid/base/v1"
CUTS: Final = (1, 2, 3, 7, 64, 1024)
LONGEST_WAIT_S: Final = 300.0

TRANSPORTS_OWN: Final = frozenset(
    {"host", "content-length", "connection", "accept-encoding", "transfer-encoding"}
)

STATUSES: Final[dict[int, type[UpstreamError]]] = {
    302: UpstreamError,
    **dict.fromkeys((400, 404, 409, 413, 422), UpstreamRefused),
    **dict.fromkeys((401, 402, 403), CredentialDead),
    408: UpstreamTimeout,
    **dict.fromkeys((429, 529), UpstreamBusy),
    **dict.fromkeys((500, 502), UpstreamError),
}

CANARY: Final = "kit-canary-text"

BODIES: Final = (
    b"",
    b"\xff\xfe\x00",
    b"[" * 50_000,
    b"<html><body>" + CANARY.encode() * 30_000,
    b'{"error":"' + CANARY.encode() + b'"}',
    orjson.dumps({"error": {"message": CANARY, "type": CANARY, "code": CANARY, "details": [CANARY, {}, 5]}}),
    orjson.dumps([{"error": {"message": CANARY, "status": CANARY, "details": {"error_code": [CANARY]}}}]),
)

PAUSES: Final = ("-1", "1000000000", "NaN", "inf", "", "soon", "Sun, 06 Nov 1994 08:49:37 GMT", "7")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that an adapter does not keep.

    Attributes:
        script: the script at which it showed.
        rule: the rule's name.
        text: what was found, in words of the kit.
    """

    script: str
    rule: Slug
    text: str


def run(name: str, provider_class: Callable[[Any], Provider], out: TextIO, config: object = None) -> int:
    """Try an adapter with the generic scripts of all dialects it speaks, and write what was found.

    Args:
        name: the provider's name, for the report.
        config: of the adapter; None: its Config with only a base_url given.

    Returns:
        0 if nothing was found, 1 otherwise.
    """
    scripts: list[Script] = []

    def construct() -> Provider:
        provider = provider_class(_plain_config(provider_class) if config is None else config)
        scripts.extend(script for dialect in sorted(provider.speaks) for script in generic_scripts(dialect))
        return provider

    provider, findings = _construct(construct)
    if provider is not None:
        findings += _try_all(provider, scripts, DIALECTS)
    for finding in findings:
        out.write(f"{name}: {finding.script}: {finding.rule}: {finding.text}\n")
    out.write(f"{name}: {len(scripts)} scripts, {len(findings)} findings\n")
    return 1 if findings else 0


def check(
    provider_class: Callable[[Any], Provider],
    config: object,
    scripts: Iterable[Script],
    dialects: Mapping[Slug, Dialect] = DIALECTS,
) -> list[Finding]:
    """Try an adapter with scripts of one's own, recorded or written.

    Args:
        config: handed to the class as it is.
        scripts: see generic_scripts() for how one looks.
        dialects: by name; a script's must be among them.

    Returns:
        One finding for each rule broken at each script; none when all is well.
    """
    provider, findings = _construct(partial(provider_class, config))
    if provider is not None:
        findings += _try_all(provider, tuple(scripts), dialects)
    return findings


def _construct(make: Callable[[], Provider]) -> tuple[Provider | None, list[Finding]]:
    made: list[Provider] = []

    def construct() -> Iterator[Finding]:
        made.append(make())
        yield from ()

    findings = _guarded("construct", construct)
    return (made[0] if made else None), findings


def _plain_config(provider_class: Any) -> object:
    """The adapter's Config, with an address if it has a field for one."""
    config_class = getattr(provider_class, "Config", None)
    if not isinstance(config_class, type) or not is_dataclass(config_class):
        return None
    needed = [
        item for item in fields(config_class) if item.default is MISSING and item.default_factory is MISSING
    ]
    given = {item.name: PLACE for item in needed if item.name == "base_url"}
    return config_class(**given) if len(given) == len(needed) else None


def _try_all(
    provider: Provider, scripts: Sequence[Script], dialects: Mapping[Slug, Dialect]
) -> Iterator[Finding]:
    yield from _guarded("speaks", partial(_try_speaks, provider, dialects))
    for script in scripts:
        yield from _guarded(script.name, partial(_try_script, provider, script, dialects[script.dialect]))
    yield from _guarded("failure", partial(_try_failures, provider))


def _guarded(name: str, trial: Callable[[], Iterator[Finding]]) -> list[Finding]:
    findings: list[Finding] = []
    try:
        for finding in trial():
            findings.append(finding)
    except Exception as error:  # an adapter is a stranger's code: whatever it raises is what was found
        findings.append(_finding(name, "no-exception", f"it raised {type(error).__name__}"))
    return findings


def _finding(script: str, rule: str, text: str) -> Finding:
    return Finding(script=script, rule=Slug(rule), text=text)


# --- the request -------------------------------------------------------------------------------------


def _try_speaks(provider: Provider, dialects: Mapping[Slug, Dialect]) -> Iterator[Finding]:
    if not provider.speaks:
        yield _finding("speaks", "dialects", "it speaks no dialect")
    for dialect in sorted(set(provider.speaks) - set(dialects)):
        yield _finding("speaks", "dialects", f"there is no dialect {Slug(dialect)}")


def _try_script(provider: Provider, script: Script, dialect: Dialect) -> Iterator[Finding]:
    call = dialect.read_call(script.envelope)
    before = orjson.dumps(call.body.open(Purpose.READ)) if isinstance(call.body, Document) else b""
    request = provider.request(call, TARGET, Secret(KEY))
    for rule, kept, text in (
        *_rules_of_key(provider, request, provider.request(call, TARGET, None)),
        *_rules_of_head(provider, request, script),
        *_rules_of_body(request, before),
    ):
        if not kept:
            yield _finding(script.name, rule, text)
    if isinstance(call.body, Document) and orjson.dumps(call.body.open(Purpose.READ)) != before:
        yield _finding(script.name, "call-unchanged", "it changed the call, which other attempts need")
    if script.status < 400:
        yield from _try_answer(provider, script, dialect, call)
    elif script.failure is not None:
        error = provider.failure(script.status, script.answer_headers, Content(script.answer))
        if type(error) is not script.failure:
            yield _finding(script.name, "failure-class", f"expected {script.failure.__name__}")


_Rules = Iterator[tuple[str, bool, str]]


def _rules_of_key(provider: Provider, request: UpstreamRequest, bare: UpstreamRequest) -> _Rules:
    values = "\n".join(value for _, value in request.headers)
    body = request.body.open(Purpose.SEND)
    if not _is_own_exit(provider):
        yield "key-sent", KEY in values, "the key is in no header"
    yield (
        "key-only-in-headers",
        KEY not in request.url and KEY.encode() not in body,
        "the key is in URL or body",
    )
    yield "key-not-shown", KEY not in repr(request) + repr(provider), "repr shows the key"
    own = CALLERS_KEY in request.url + values
    yield (
        "callers-key-stays",
        not own and CALLERS_KEY.encode() not in body,
        "the caller's own key is passed on",
    )
    kept = KEY in bare.url + repr(bare.headers)
    yield "key-not-kept", not kept, "a call without a key carries that of the call before"


def _rules_of_head(provider: Provider, request: UpstreamRequest, script: Script) -> _Rules:
    names = [name for name, _ in request.headers]
    yield "method", request.method == "POST", "expected POST"
    web = request.url.startswith(("https://", "http://")) or _is_own_exit(provider)
    yield (
        "url",
        web and request.url.isascii() and request.url.isprintable(),
        "expected an absolute URL in ASCII",
    )
    yield "url-as-expected", script.url in (None, request.url), "it differs from the script's"
    yield "header-names", all(name and name == name.lower().strip() for name in names), "expected lower case"
    yield "header-once", len(set(names)) == len(names), "a header is there twice"
    yield (
        "header-of-transport",
        TRANSPORTS_OWN.isdisjoint(names),
        "a header is there that the transport makes",
    )
    sound = all(value.isprintable() for _, value in request.headers)
    yield "header-values", sound, "a value holds a control character"
    yield (
        "headers-as-expected",
        set(script.headers) <= set(request.headers),
        "a header of the script's is missing",
    )


def _rules_of_body(request: UpstreamRequest, before: bytes) -> _Rules:
    """Only for bodies in JSON; forms are the dialect's work alone."""
    if not before:
        return
    body = request.body.open(Purpose.SEND)
    tree = orjson.loads(body)
    asked = orjson.loads(before)
    yield "model-replaced", TARGET in request.url or TARGET.encode() in body, "the target's model is nowhere"
    left = ASKED in request.url or ASKED.encode() in body
    yield "model-not-left", not left, "the model that the caller asked for is still there"
    for name in UNKNOWN:
        yield (
            "unknown-fields",
            tree.get(name) == asked.get(name),
            "a field that no dialect knows is lost or changed",
        )


def _is_own_exit(provider: object) -> bool:
    """Whether it answers from itself, so that it needs neither key nor network."""
    return callable(getattr(provider, "open", None))


# --- the answer --------------------------------------------------------------------------------------


def _try_answer(provider: Provider, script: Script, dialect: Dialect, call: Call) -> Iterator[Finding]:
    size = max(1, len(script.answer))
    asked = provider.asks_usage(call)
    expected, complete = _metered(script.answer, size, dialect.meter(call))
    if script.reading is not None and expected != script.reading:
        yield _finding(script.name, "reading", "the meter found other numbers than the script says")
    if script.answer and not complete:
        yield _finding(script.name, "complete", "the meter did not see the end of a whole answer")
    shown = _filtered(script.answer, size, dialect.filter(call, asked))
    for cut in CUTS:
        if _metered(script.answer, cut, dialect.meter(call))[0] != expected:
            yield _finding(script.name, "reading-however-cut", f"other numbers in pieces of {cut} bytes")
        if _filtered(script.answer, cut, dialect.filter(call, asked)) != shown:
            yield _finding(script.name, "answer-however-cut", f"another answer in pieces of {cut} bytes")
    for length in range(0, len(script.answer), max(1, len(script.answer) // 50)):
        _metered(script.answer[:length], 5, dialect.meter(call))


def _metered(answer: bytes, size: int, meter: Meter) -> tuple[Reading, bool]:
    for start in range(0, len(answer), size):
        meter.feed(answer[start : start + size])
    return meter.finish(), meter.complete


def _filtered(answer: bytes, size: int, sieve: Filter | None) -> bytes:
    if sieve is None:
        return answer
    passed = [sieve.feed(answer[start : start + size]) for start in range(0, len(answer), size)]
    return b"".join([*passed, sieve.finish()])


# --- failures ----------------------------------------------------------------------------------------


def _try_failures(provider: Provider) -> Iterator[Finding]:
    for status, expected in STATUSES.items():
        for body in BODIES:
            error = provider.failure(status, (), Content(body))
            name = f"failure {status}"
            if type(error) is not expected:
                yield _finding(name, "failure-class", f"expected {expected.__name__}")
            if not isinstance(error, GatewayError) or CANARY in repr(error) + str(error) + error.message:
                yield _finding(name, "failure-without-text", "the error carries text of the answer")
    for pause in PAUSES:
        for field in ("retry-after", "retry-after-ms"):
            after_s = provider.failure(429, ((field, pause),), Content(b"")).after_s
            if after_s is not None and not (math.isfinite(after_s) and 0 <= after_s <= LONGEST_WAIT_S):
                yield _finding(
                    "failure 429", "pause", f"after_s is not within 0 to {LONGEST_WAIT_S:.0f} seconds"
                )
