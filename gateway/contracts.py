"""What plugins and services promise each other, and the small frozen values they speak in.

Each Protocol has one to six methods. Content is in the hands of dialects, classifiers and providers
only; routers see labels, observers see Records.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType
from typing import Any, Protocol

from gateway.content import EMPTY, Content, Document, Secret
from gateway.errors import GatewayError, UpstreamError
from gateway.names import Slug
from gateway.quick import quick
from gateway.records import PathKind, Record
from gateway.usage import Nanos, Reading

Headers = tuple[tuple[str, str], ...]
"""Header fields in order; names in lower case."""


# --- a call, as a dialect reads it -----------------------------------------------------------


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The numbers of a call: what classifiers, routers and the estimator may know without opening it.

    Attributes:
        body_bytes: size of the body as it arrived.
        max_output: most output tokens the caller allows, for one choice; None when not said.
        choices: how many answers are asked for (n, best_of, candidateCount), at least 1.
        turns: messages of all roles.
        tools: tool definitions sent along.
        tool_results: messages or parts that bring back what a tool answered.
        images, audio, files: parts of that kind.
        inputs: texts of an embeddings call; images to make, for an images call.
        has_system: a system or developer text is there.
        structured: the answer must follow a JSON schema or be JSON.
        wants_usage: the caller asked for usage on its stream.
        wants_store: the caller asked the provider to keep the answer.
    """

    body_bytes: int = 0
    max_output: int | None = None
    choices: int = 1
    turns: int = 0
    tools: int = 0
    tool_results: int = 0
    images: int = 0
    audio: int = 0
    files: int = 0
    inputs: int = 0
    has_system: bool = False
    structured: bool = False
    wants_usage: bool = False
    wants_store: bool = False


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """What a caller says of its call in x-gateway-… headers; all checked names and numbers."""

    feature: Slug | None = None
    environment: Slug | None = None
    session: Slug | None = None
    customer: Slug | None = None
    task: Slug | None = None
    route_off: bool = False
    strict: bool = False  # x-gateway-strict: refuse what a translation would leave out
    max_cost: Nanos | None = None


NO_TAGS = Tags()


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A request as the edge hands it to a dialect: everything the dialect may read.

    headers is case-insensitive for look-up by lower-case name. query holds the decoded pairs, the
    caller's key already removed. path_model is the model in the path, where the dialect has it there.
    """

    kind: PathKind
    verb: str = ""  # what follows the model in the path: "generateContent", …
    version: str = ""  # "v1" or "v1beta", where paths have one
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    query: tuple[tuple[str, str], ...] = ()
    path_model: str | None = None
    content_type: str = "application/json"
    body: Content = field(default_factory=lambda: EMPTY)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call, understood.

    Attributes:
        dialect: name of the dialect it came in; the key of gateway.dialects.DIALECTS.
        kind: what it asks for.
        model: the model as asked. A client's text: stored only once the configuration knows it.
        stream: the answer is to be streamed.
        body: a Document for JSON calls, Content for multipart forms.
        content_type: of the body, with its parameters.
        headers: the request headers that go on to the provider, by allow-list of the dialect.
        query: the query pairs that go on to the provider.
        verb, version: as in the Envelope, for dialects whose path says it.
    """

    dialect: Slug
    kind: PathKind
    model: str
    stream: bool
    body: Document | Content
    content_type: str = "application/json"
    headers: Headers = ()
    query: tuple[tuple[str, str], ...] = ()
    verb: str = ""
    version: str = ""
    shape: Shape = Shape()
    tags: Tags = NO_TAGS


# --- who asks -----------------------------------------------------------------------------------


Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What a key may do: the intersection of the scopes on its path. None and () allow everything.

    Attributes:
        models, providers: names, each exact or ending in "*"; one name of each group must fit.
        hours: (from, to) in minutes of the UTC day; to may be smaller, over midnight.
        max_cost: the most one call may cost.
        floor: the least data policy a target must have.
        may_store: the provider may be asked to keep an answer.
        baseline: no right: the model that savings are measured against, where neither the call nor its
            route names one. Of the nearest level that has it.
    """

    models: tuple[frozenset[str], ...] = ()  # one group for each level of the tree that has this scope
    providers: tuple[frozenset[str], ...] = ()
    paths: frozenset[PathKind] | None = None
    environments: frozenset[Slug] | None = None
    networks: tuple[tuple[Network, ...], ...] = ()  # an address must be in one of each group
    hours: tuple[tuple[tuple[int, int], ...], ...] = ()  # the time must be in one of each group
    expires_ms: int | None = None
    max_cost: Nanos | None = None
    floor: Slug | None = None
    may_store: bool = False
    baseline: Slug | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a key stands for.

    Attributes:
        path: ids of the nodes from the root down to the key's own.
        cap: the most the key may spend in all, and rate the most calls a minute; None: no limit.
    """

    key_id: Slug
    key_name: Slug
    path: tuple[Slug, ...] = ()
    org: Slug | None = None
    project: Slug | None = None
    rights: Rights = Rights()
    cap: Nanos | None = None
    rate: int | None = None


# --- dialects ----------------------------------------------------------------------------------


class Meter(Protocol):
    """Takes the numbers out of one answer. Holds at most one unfinished event; never raises."""

    def feed(self, chunk: bytes) -> None:
        """The answer's bytes in order, cut anywhere."""
        ...

    def finish(self) -> Reading:
        """What was read. May be called at any time, also after a cut; the meter stays usable."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the answer's own end was seen ([DONE], message_stop, a finish reason, a whole body)."""
        ...


class Filter(Protocol):
    """Takes out of a stream what only the gateway asked for."""

    def feed(self, chunk: bytes) -> bytes:
        """What of the bytes so far may go to the client."""
        ...

    def finish(self) -> bytes:
        """What was held back when the stream ended."""
        ...


class Dialect(Protocol):
    """One API's JSON. No I/O. Each module in gateway.dialects is one of these."""

    @property
    def NAME(self) -> Slug: ...

    @property
    def FAMILY(self) -> Slug:
        """openai, anthropic or gemini: whose errors and model lists it has."""
        ...

    def read_call(self, envelope: Envelope) -> Call:
        """Understand a request.

        Raises:
            CallerError: bad_request with the field's name in about, never its value.
        """
        ...

    def path(self, call: Call, model: str) -> str:
        """Path and query below the provider's base URL, such as "/chat/completions"."""
        ...

    def with_model(self, call: Call, model: str, ask_usage: bool) -> Content:
        """The request's body, written again from what was parsed, for this model.

        Args:
            ask_usage: the provider reports usage on a stream only when asked: ask.
        """
        ...

    def meter(self, call: Call) -> Meter:
        """A fresh meter for one answer with a status below 400."""
        ...

    def filter(self, call: Call, ask_usage: bool) -> Filter | None:
        """What with_model's wish added to the stream and must be taken out again; None: nothing."""
        ...

    def error_body(self, error: GatewayError, request_id: Slug) -> bytes:
        """An error before the first byte, in this dialect's shape."""
        ...

    def error_event(self, error: GatewayError, request_id: Slug, call: Call) -> bytes:
        """An error after the first byte: the bytes that end a stream of this dialect."""
        ...


# --- providers -----------------------------------------------------------------------------------


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequest:
    """What goes to a provider.

    Attributes:
        url: absolute, https unless the configuration allows otherwise; holds no secret.
        headers: all request headers but host, content-length, connection and accept-encoding,
            which are the transport's; the provider's key is in here, so repr leaves it out.
    """

    method: str
    url: str
    headers: Headers = field(repr=False)
    body: Content


class Provider(Protocol):
    """A place that speaks one or more dialects. Prepares and interprets; never does I/O.

    Constructed as Plugin(config) with its own strict Config dataclass. The key is no part of it: it
    is handed over for each call.
    """

    @property
    def speaks(self) -> frozenset[Slug]:
        """Names of the dialects it understands."""
        ...

    def request(self, call: Call, model: str, key: Secret | None) -> UpstreamRequest:
        """The request that asks this provider for the call, with the caller's model replaced by model."""
        ...

    def failure(self, status: int, headers: Headers, body: Content) -> UpstreamError:
        """What an answer with status >= 400 means. The body may be opened to classify, never kept."""
        ...

    def asks_usage(self, call: Call) -> bool:
        """Whether a stream's usage must be asked for (and its traces taken out again)."""
        ...


class Answer(Protocol):
    """A provider's answer while it arrives."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    async def read(self) -> bytes:
        """The next bytes of the body as they come; empty at the end.

        Raises:
            UpstreamError: the body broke off, came too slowly or too large.
        """
        ...


class Permit(Protocol):
    """Proof that money was set aside. Nothing is sent to a provider without one."""

    @property
    def id(self) -> Slug: ...

    @property
    def amount(self) -> Nanos: ...


class Exit(Protocol):
    """The one way to a provider. Also implemented by providers that answer from themselves."""

    async def open(self, request: UpstreamRequest, permit: Permit) -> Answer:
        """Send the request and wait for the answer's head.

        Raises:
            UpstreamError: it cannot be reached, or did not answer in time.
        """
        ...

    def release(self, answer: Answer) -> None:
        """The answer is done with: keep the connection if the body was read to its end, else close it.

        Must be called once for each opened answer. Does not wait.
        """
        ...


# --- the client's side -----------------------------------------------------------------------------


class Sink(Protocol):
    """Where an answer goes.

    extra: response headers of ours, filled before start() and sent with the head.
    """

    extra: list[tuple[str, str]]

    @property
    def started(self) -> bool:
        """Whether any byte (the head included) was sent."""
        ...

    async def start(self, status: int, headers: Headers, length: int | None) -> None:
        """Send the head; length is the body's size where it is known."""
        ...

    async def write(self, chunk: bytes) -> None:
        """Send bytes on, and wait while the client's buffer is full.

        Raises:
            ClientGone: the connection is closed, or was not read for too long.
        """
        ...

    async def finish(self) -> None:
        """The answer is complete."""
        ...

    def abort(self) -> None:
        """Break the connection, so that the client sees the answer is not complete."""
        ...


# --- routing and classification -----------------------------------------------------------------------


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What a classifier says of a call. confidence is in thousandths.

    scores: more numbers for routers, by name, in thousandths: for instance how likely a cheaper model
    serves the call as well. They are not kept.
    """

    task: Slug = Slug("other")
    confidence: int = 0
    classifier: Slug = Slug("none")
    scores: Mapping[Slug, int] = field(default_factory=lambda: MappingProxyType({}))


class Classifier(Protocol):
    """Names the task of a call. Sees content, returns names and numbers.

    One that adds scores for routers has an attribute always = True: it is asked even where the task is known.
    """

    def labels(self, call: Call) -> Labels: ...


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A target as a router sees it: numbers and names.

    Attributes:
        name: "provider/model"; of a policy inside the policy, that of its first target.
        healthy: its breaker is closed and a credential is at hand.
        input_price, output_price: pico-dollars per token, None when unknown.
        estimate: nano-dollars the call can cost there at most, None when unknown.
        latency_us: to the first byte, a moving average that jumps up at once and sinks slowly (peak-EWMA);
            None as long as nothing was asked there.
        in_flight: calls under way there, of this process.
        tier: as the configuration says, such as "cheap".
    """

    name: Slug
    healthy: bool
    input_price: int | None
    output_price: int | None
    estimate: Nanos | None
    latency_us: int | None = None
    in_flight: int = 0
    tier: Slug | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a router is asked: a call without its content.

    Attributes:
        candidates: by the names in the router's own targets(), without those that cannot serve the call.
        seed: a fresh random number, so that a router stays a pure function.
        requested: the name in candidates of the model that the caller named; None where it named a route.
        at_us: Unix time, in microseconds.
        tokens: the input, guessed.
        affinity: the same number for calls that begin with the same words, for prompt caches; a digest
            keyed by a secret of this process. None where there is nothing to hold on to.
        session: the same for calls of one session (x-gateway-session), or of one key where there is none.
        spent: thousandths of the tightest budget that are used; None without a budget.
    """

    kind: PathKind
    shape: Shape
    labels: Labels
    tags: Tags
    key: Slug
    candidates: Mapping[Slug, Candidate]
    seed: int
    requested: Slug | None = None
    at_us: int = 0
    tokens: int = 0
    affinity: int | None = None
    session: int = 0
    spent: int | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A router's answer: names of candidates, best first, and why."""

    order: tuple[Slug, ...]
    reason: Slug


class Router(Protocol):
    """A policy: a pure function of labels, prices and health. Never sees content.

    Wherever its configuration names a target, a whole policy may stand as well: the name of another
    route, or a table with a "use" of its own. The router sees only a name; the policy behind it is asked by
    the core, and the name in the router's order is replaced by that policy's order.
    """

    def targets(self) -> tuple[str, ...]:
        """Every model, provider/model or policy it may choose, so that the configuration can be checked."""
        ...

    def plan(self, question: Question) -> Choice: ...


class Learner(Protocol):
    """A router that also learns from outcomes: it is handed the table anew from time to time.

    Cells name models as the router's own targets() do, where they are among them.

    learn() is called in a thread of its own while plan() goes on: it puts the new in place at once.
    """

    def learn(self, cells: "Sequence[Cell]") -> None: ...


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What outcomes say of one model in the place of another, for one task.

    kept, bound: share of the quality that is kept, in thousandths: as measured, and at least. A bound of 0
        and kept None: nothing is known. count: outcomes behind it.
    moves: calls go to the candidate. reason: why they do, or do not.
    """

    task: Slug
    requested: Slug
    candidate: Slug
    count: int
    kept: int | None
    bound: int
    moves: bool
    reason: Slug


class Judge(Protocol):
    """A learner that can tell what it made of the outcomes."""

    def verdicts(self) -> "Sequence[Verdict]": ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Calls of one route that were made for one reason, added up from their records.

    Attributes:
        reason: the records' route_reason.
        calls: that were sent to a provider, without those that a crash interrupted.
        errors: of those, what failed, or needed more than one attempt.
        timed, time_us, time_squares: calls that ended well, their total_us and its squares added up.
        priced, cost_nanos, cost_squares: the same of their cost, where it is known.
    """

    reason: Slug
    calls: int = 0
    errors: int = 0
    timed: int = 0
    time_us: int = 0
    time_squares: float = 0.0
    priced: int = 0
    cost_nanos: int = 0
    cost_squares: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How one rule of a trial stands.

    measured: the difference or ratio; None when too little is known. limit: what it may be at most.
    evidence: against the trial, as an e-value; at needed it is stopped.
    """

    rule: Slug
    limit: float
    measured: float | None
    evidence: float
    needed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a trial stands. stopped: the rule that ended it; None while it runs."""

    trial: Arm
    stable: Arm
    findings: tuple[Finding, ...] = ()
    stopped: Slug | None = None


class Trial(Protocol):
    """A router that tries something out, and judges it by the records of its route."""

    @property
    def since_us(self) -> int:
        """From when on records count: Unix time in microseconds."""
        ...

    def learn_arms(self, arms: "Sequence[Arm]") -> None:
        """Handed all records of the route since then from time to time, added up by reason."""
        ...

    def standing(self) -> Standing: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How well one call was served, as somebody judged it.

    Attributes:
        call: id of the Record; of imported outcomes, an id of the import's own.
        source: who judges: "thumbs", "score", "judge", the name of an import. One outcome a call and source.
        at_ms: Unix time of the judgement.
        task, model: of the Record: its task, and the "provider/model" that answered.
        against: the model that it is compared with, for paired outcomes; None: the score stands alone.
        score: thousandths: 1000 served well (paired: served as well as the other), 0 not at all.
    """

    call: Slug
    source: Slug
    at_ms: int
    task: Slug
    model: Slug
    against: Slug | None
    score: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """All outcomes of one task and model (and the model it was compared with), added up.

    total: sum of scores in thousandths; squares: sum of their squares in millionths.
    """

    task: Slug
    model: Slug
    against: Slug | None
    count: int
    total: int
    squares: int


# --- observers ---------------------------------------------------------------------------------------


class Observer(Protocol):
    """Sees Records. Quick, and must not raise; slow work goes to a bounded queue of its own."""

    def saw(self, record: Record) -> None: ...


# --- stores ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """A node of the tree as stored. kind: platform, reseller, organisation or project."""

    id: Slug
    parent: Slug | None
    kind: Slug
    name: Slug
    created_ms: int
    disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A key as stored: never the key, only its digest.

    digest: 64 hex digits of HMAC-SHA-256(pepper, key). prefix and last4 are for recognition.
    replaced_by: the key that rotation made; this one then ends at expires_ms.
    """

    id: Slug
    node: Slug
    name: Slug
    digest: str
    prefix: Slug
    last4: Slug
    created_ms: int
    expires_ms: int | None = None
    revoked_ms: int | None = None
    replaced_by: Slug | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeRow:
    """One allowed value of one scope of a node or key: (owner, "models", "gpt-4o-mini")."""

    owner: Slug
    what: Slug
    value: str  # a Slug, a network or a time range; checked by accounts.scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRow:
    """A provider's key as stored: an AES-256-GCM envelope.

    id: "provider/slot". kek: id of the master key that wraps it. nonce 12 bytes, sealed: ciphertext
    with tag. The associated data binds id and host, so that a moved row does not open.
    """

    id: Slug
    provider: Slug
    kek: Slug
    host: Slug
    nonce: bytes
    sealed: bytes
    created_ms: int


@dataclass(frozen=True, slots=True)
class Accounts:
    """Everything that authentication needs, in one consistent reading."""

    version: int
    nodes: tuple[NodeRow, ...] = ()
    keys: tuple[KeyRow, ...] = ()
    scopes: tuple[ScopeRow, ...] = ()


class AccountStore(Protocol):
    """Nodes, keys and scopes. Each write raises the version by one, in the same transaction."""

    async def version(self) -> int: ...

    async def load(self) -> Accounts: ...

    async def put(
        self,
        *,
        nodes: Sequence[NodeRow] = (),
        keys: Sequence[KeyRow] = (),
        scopes: Sequence[ScopeRow] = (),
        clear: Sequence[Slug] = (),
    ) -> None:
        """Insert or replace rows by id. The scopes of every owner named in scopes are replaced.

        clear: owners that lose all scopes first, so that one without any in scopes has none after.
        """
        ...


class SecretStore(Protocol):
    """Sealed provider keys. A deleted ciphertext leaves no trace in the files."""

    async def version(self) -> int: ...

    async def load(self) -> tuple[SecretRow, ...]: ...

    async def put(self, rows: Sequence[SecretRow]) -> None: ...

    async def delete(self, ids: Sequence[Slug]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which records: at_us from (inclusive) to (exclusive), optionally of one key."""

    since_us: int
    until_us: int
    key_id: Slug | None = None


class RecordStore(Protocol):
    """Records. Adding is idempotent by Record.id."""

    async def add(self, records: Sequence[Record]) -> int:
        """Store a batch in one transaction; returns how many were new."""
        ...

    async def sums(self, span: Span, by: Sequence[str]) -> list[dict[str, Any]]:
        """Sums over records, grouped by columns of Record.

        Each row: the grouping columns, calls, unpriced, unmeasured (calls whose baseline_nanos is not
        known), cost_nanos, baseline_nanos and every saved_*, tokens_* and units_* column, all int. Dearest
        first.

        Raises:
            ValueError: a name in by is no groupable column.
        """
        ...

    def export(self, span: Span) -> AsyncIterator[Record]:
        """Records in order of time, streamed in bounded pages."""
        ...

    async def spent(self) -> dict[Slug, Nanos]:
        """What each key has cost so far, by key id. Unpriced records count nothing."""
        ...

    async def arms(self, route: Slug, since_us: int, after: int) -> tuple[int, list[Arm]]:
        """Records of a route (model_requested) since a moment, added up by route_reason, in pages.

        Args:
            after: 0, or the mark of the page before: records are counted in the order they were added.

        Returns:
            A mark, and what was added between after and it. The same mark again: there is no more by now.
        """
        ...

    async def find(self, ids: Sequence[Slug]) -> list[Record]:
        """The records of these ids, those that there are, in any order."""
        ...


class OutcomeStore(Protocol):
    """Outcomes: names and numbers only. Adding is idempotent by call and source; the first one stays."""

    async def add(self, outcomes: Sequence[Outcome]) -> int:
        """Store a batch in one transaction; returns how many were new."""
        ...

    async def cells(self) -> list[Cell]:
        """All outcomes, added up by task, model and against."""
        ...


class Store(Protocol):
    """A place for metadata, in four parts with one life."""

    @property
    def accounts(self) -> AccountStore: ...

    @property
    def secrets(self) -> SecretStore: ...

    @property
    def records(self) -> RecordStore: ...

    @property
    def outcomes(self) -> OutcomeStore: ...

    async def start(self) -> None:
        """Open, migrate, check.

        Raises:
            StoreError: it cannot be used as it is; the text says how to mend it.
        """
        ...

    async def close(self) -> None: ...


class StoreError(Exception):
    """The store cannot do its work now. The text is ours and holds names and numbers only."""
