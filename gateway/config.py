"""TOML to one typed model, strictly: all errors at once, each with its place and a hint, no values.

Secrets are references ({ env = "NAME" } or { file = "path" }) and are read only when they are used.
Durations are texts with a unit ("250ms", "30s", "24h", "90d"), sizes too ("64KiB", "32MiB").
"""

import difflib
import os
import re
import tomllib
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from gateway.content import Secret
from gateway.names import is_name

MAX_FILE_BYTES = 1 << 20

_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+)(B|KiB|MiB|GiB)")
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class ConfigError(Exception):
    """The configuration cannot be used. problems holds one line each; no value is quoted.

    places: where in the tree the problems are, for those that are told by the tree alone.
    """

    def __init__(self, problems: list[str], places: list[tuple[int | str, ...]] | None = None) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
        self.places = places or []


def seconds(value: object) -> float:
    """A duration text as seconds."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        return int(match[1]) * _SECONDS[match[2]]
    if isinstance(value, float):
        return value  # a default, already in seconds
    raise ValueError('a duration is a number with a unit, in quotes: "250ms", "30s", "5m", "24h" or "90d"')


def size(value: object) -> int:
    """A size text as bytes."""
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        return int(match[1]) * _BYTES[match[2]]
    raise ValueError('a size is a number with a unit, in quotes: "512B", "64KiB", "32MiB" or "1GiB"')


def _name(value: object) -> str:
    if isinstance(value, str) and is_name(value):
        return value
    raise ValueError("a name has letters, digits and . _ : / @ + - only, at most 128")


def _endpoint(value: object) -> str:
    if isinstance(value, str):
        host, colon, port = value.rpartition(":")
        if colon and host and port.isdigit() and int(port) < 65536:
            return value
    raise ValueError('an address is "HOST:PORT"')


Duration = Annotated[float, BeforeValidator(seconds)]
Time = Annotated[float, BeforeValidator(seconds), Field(gt=0)]
Size = Annotated[int, BeforeValidator(size)]
Name = Annotated[str, BeforeValidator(_name)]
Endpoint = Annotated[str, BeforeValidator(_endpoint)]
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SecretRef(_Table):
    """Where a secret is: exactly one of env and file."""

    env: str | None = None
    file: str | None = None

    def read(self) -> Secret | None:
        """The secret; None when the variable is not set or the file is not there."""
        if self.env is not None:
            text = os.environ.get(self.env)
            return Secret(text) if text else None
        try:
            return Secret(Path(self.file or "").read_text("utf-8").strip())
        except OSError:
            return None


class LiteralSecret(_Table):
    """A secret written into the file itself: for tests; check warns about it."""

    text: str

    def read(self) -> Secret:
        """The secret."""
        return Secret(self.text)

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__


def _secret(value: object) -> object:
    if isinstance(value, str):
        return LiteralSecret(text=value)
    if isinstance(value, dict) and len([key for key in ("env", "file") if key in value]) != 1:
        raise ValueError('a secret is { env = "NAME" } or { file = "PATH" }')
    return value


SecretSource = Annotated[SecretRef | LiteralSecret, BeforeValidator(_secret)]


class KeyRef(_Table):
    """One of a provider's keys: where it is, and how much of the load it bears, in each process.

    weight: its share of the calls, beside the weights of the others.
    """

    env: str | None = None
    file: str | None = None
    weight: Annotated[int, Field(strict=True, ge=1, le=1_000)] = 1
    calls_per_minute: Annotated[int, Field(strict=True, ge=1)] | None = None
    open_calls: Annotated[int, Field(strict=True, ge=1)] | None = None

    def read(self) -> Secret | None:
        """The secret; None when the variable is not set or the file is not there."""
        return SecretRef(env=self.env, file=self.file).read()


KeySource = Annotated[KeyRef | LiteralSecret, BeforeValidator(_secret)]


class Server(_Table):
    """[server]: the listeners and what they bear."""

    listen: Endpoint = "127.0.0.1:8080"
    admin_listen: Endpoint = "127.0.0.1:8081"
    workers: Annotated[int, Field(strict=True, ge=1, le=256)] = 1
    tls_certificate: str | None = None
    tls_key: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    max_body: Size = 32 << 20
    max_head: Size = 64 << 10
    max_line: Size = 8190
    max_fields: Count = 128
    max_buffer: Size = 256 << 10
    max_pipelined: Count = 8
    max_connections: Count = 10_000
    max_connections_per_address: Count = 1_000
    max_open_calls: Count = 2_000
    header_timeout: Duration = 15.0
    body_timeout: Duration = 10.0
    body_rate: Size = 16 << 10
    keepalive_timeout: Duration = 75.0
    write_timeout: Duration = 30.0
    linger_timeout: Duration = 2.0
    max_linger: Size = 1 << 20
    drain_timeout: Duration = 30.0
    uvloop: Flag = True


class Secrets(_Table):
    """[secrets]."""

    master_key: SecretSource = SecretRef(file="gateway-data/master.key")


class StoreTable(BaseModel):
    """[store]: the plugin's name; all other keys are the plugin's own."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)
    use: Name = "sqlite"


DataPolicy = Literal["any", "no-training", "no-retention", "local"]
"""What a provider does with content: a floor that it satisfies, from loosest to strictest."""


class ProviderTable(BaseModel):
    """[providers.NAME]: the core's keys; all other keys are the plugin's own."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)
    use: Name | None = None
    api_key: SecretSource | None = None
    api_keys: tuple[KeySource, ...] = ()
    needs_key: Flag = True
    allow_private: Flag = False
    data_policy: DataPolicy | None = None


class ModelTable(_Table):
    """[models.NAME]: a name of one's own, a price of one's own, and what the model takes.

    context: tokens of input and answer together. tools, vision: False for a model that takes none. None:
        as the price book says, or else not known, and then nothing is ruled out.
    """

    provider: Name
    model: str | None = None
    tier: Name | None = None
    context: Count | None = None
    tools: Flag | None = None
    vision: Flag | None = None
    price: dict[str, Any] | None = None
    data_policy: DataPolicy | None = None


Kind = Literal["rate", "server", "timeout", "context", "policy", "auth", "empty"]
"""How an attempt may fail: the values of errors.Failure."""


class RouteTable(BaseModel):
    """[routes.NAME]: the plugin's name and what the core does with its plan; other keys are the plugin's own.

    on: what follows after a failure of that kind, in place of the rest of the plan.
    """

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)
    use: Name
    baseline: Name | None = None
    allow_costlier: Flag = False
    on: dict[
        Literal["rate", "server", "timeout", "context", "policy", "auth", "empty"], tuple[Name, ...]
    ] = {}


class Routing(_Table):
    """[routing]: what holds for all routes."""

    policy_time: Time = 0.001
    trial_interval: Duration = 10.0


class Translation(_Table):
    """[translation]: calls to a provider that does not speak the caller's dialect.

    strict: refuse a call rather than leave out what the provider's dialect has no word for.
    """

    strict: Flag = False


class Upstream(_Table):
    """[upstream]: how providers are asked."""

    attempts: Annotated[int, Field(strict=True, ge=1, le=20)] = 3
    call_timeout: Duration = 600.0
    retry_pause: Duration = 0.25
    peek: Size = 16 << 10
    peek_time: Duration = 0.1
    breaker: Flag = True
    breaker_failures: Count = 5
    breaker_window: Duration = 30.0
    breaker_rest: Duration = 10.0
    connect_timeout: Duration = 10.0
    first_byte_timeout: Duration = 60.0
    gap_timeout: Duration = 60.0
    total_timeout: Duration = 600.0
    idle_timeout: Duration = 20.0
    stale_window: Duration = 2.0
    max_connections_per_host: Count = 1_000
    max_idle_per_host: Count = 256
    max_waiting_per_host: Count = 1_000
    wait_timeout: Duration = 10.0
    max_buffer: Size = 256 << 10
    max_answer: Size = 1 << 30
    whole_answer: Size = 8 << 20
    error_answer: Size = 64 << 10
    ca_file: str | None = None


class Prices(_Table):
    """[prices]."""

    unknown: Literal["refuse", "record"] = "refuse"


class Limits(_Table):
    """[limits]: what is set aside when a call does not say how long its answer may be."""

    max_output_tokens: Count = 32_768
    image_tokens: Count = 5_000
    file_tokens: Count = 100_000


class Records(_Table):
    """[records]: what is kept, and how surely."""

    feature_headers: tuple[str, ...] = ()
    features: tuple[Name, ...] = ()
    durability: Literal["process", "power"] = "process"
    journal: str = "gateway-data/journal"
    batch: Count = 500
    interval: Duration = 0.1
    queue: Count = 100_000
    unknown_callers_per_minute: Count = 600


class Classify(_Table):
    """[classify]: classifiers in the order they are asked, how long each may take, and their own keys."""

    use: tuple[Name, ...] = ("shape", "linear")
    time: Time = 0.005
    options: dict[Name, dict[str, Any]] = {}


class Outcomes(_Table):
    """[outcomes]: how often routes are handed what was learnt about answers."""

    interval: Duration = 60.0


class Log(_Table):
    """[log]: operational events; never content."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    access: str | None = None
    access_max: Size = 10 << 20
    access_files: Annotated[int, Field(strict=True, ge=1, le=100)] = 5


class MetricsTable(_Table):
    """[metrics]: where workers leave their counters for the one that is scraped."""

    folder: str = "gateway-data/metrics"
    interval: Duration = 1.0


class Admin(_Table):
    """[admin]: the token that the admin listener asks for; made at the first start when left out."""

    token: SecretSource = SecretRef(file="gateway-data/admin.token")


class Config(_Table):
    """The whole configuration."""

    server: Server = Server()
    secrets: Secrets = Secrets()
    store: StoreTable = StoreTable()
    providers: dict[Name, ProviderTable] = {}
    models: dict[Name, ModelTable] = {}
    routes: dict[Name, RouteTable] = {}
    routing: Routing = Routing()
    translation: Translation = Translation()
    upstream: Upstream = Upstream()
    prices: Prices = Prices()
    limits: Limits = Limits()
    records: Records = Records()
    classify: Classify = Classify()
    outcomes: Outcomes = Outcomes()
    log: Log = Log()
    metrics: MetricsTable = MetricsTable()
    admin: Admin = Admin()


USUAL_KEYS = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "groq": "GROQ_API_KEY",
}
"""Providers that are found in the environment, and the variables their own libraries read."""


def read(path: Path | None) -> Config:
    """The configuration of a file; without a file, the built-in one for this environment.

    Raises:
        ConfigError: with every problem at once.
    """
    if path is None:
        return parse({}, "built-in defaults", found_providers())
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError([f"{path}: larger than 1 MiB"])
        tree = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror})"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: is not UTF-8 text"]) from None
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at .*\)$", str(error))
        raise ConfigError([f"{path}: is not valid TOML {place[0] if place else ''}".rstrip()]) from None
    return parse(tree, str(path), {} if "providers" in tree else found_providers())


def found_providers() -> dict[str, dict[str, Any]]:
    """Tables for the providers whose usual environment variable is set."""
    return {name: {"api_key": {"env": key}} for name, key in USUAL_KEYS.items() if os.environ.get(key)}


def parse(tree: dict[str, Any], source: str, found: dict[str, dict[str, Any]]) -> Config:
    """A parsed TOML tree as a Config; echo is always among the providers.

    Raises:
        ConfigError: every problem, as "source: key.path: what is wrong. hint".
    """
    providers = tree.get("providers", {})
    if isinstance(providers, dict):
        tree = {**tree, "providers": {"echo": {"use": "echo", "needs_key": False}, **found, **providers}}
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        found_wrong = error.errors(include_input=False)
        raise ConfigError(
            [f"{source}: {_problem(one)}" for one in found_wrong], [one["loc"] for one in found_wrong]
        ) from None


def parse_options(kind: type, table: dict[str, Any], place: str) -> Any:
    """A plugin's own keys as its Config dataclass.

    Raises:
        ConfigError: unknown, missing or wrong keys, all at once.
    """
    if not is_dataclass(kind):
        raise ConfigError([f"{place}: the plugin's Config is no dataclass"])
    known = [field.name for field in fields(kind)]
    problems = [f"{place}.{key}: unknown key.{_meant(key, known)}" for key in table if key not in known]
    try:
        options = _adapter(kind).validate_python({key: table[key] for key in table if key in known})
    except ValidationError as error:
        problems += [f"{place}.{_problem(one, kind)}" for one in error.errors(include_input=False)]
    if problems:
        raise ConfigError(problems)
    return options


@lru_cache(maxsize=256)
def _adapter(kind: type) -> TypeAdapter[Any]:
    """What checks the keys of a plugin: to make one takes milliseconds, and policies come often."""
    return TypeAdapter(kind)


def plugin_keys(table: BaseModel) -> dict[str, Any]:
    """The keys of a table that the core does not know: the plugin's own."""
    return dict(table.model_extra or {})


_UNSAID = ("[key]", "SecretRef", "KeyRef", "LiteralSecret")
"""Parts of a place that a file does not have."""


_LIST = 'expected a list in square brackets, such as ["one", "two"]'
_TABLE = "expected a table of keys and values"
_EXPECTED = {
    "tuple_type": _LIST,
    "list_type": _LIST,
    "dict_type": _TABLE,
    "dataclass_type": _TABLE,
    "model_type": _TABLE,
    "string_type": "expected a text in quotes",
    "bool_type": "expected true or false, without quotes",
    "bool_parsing": "expected true or false, without quotes",
    "int_type": "expected a whole number, without quotes",
    "int_parsing": "expected a whole number, without quotes",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number, without quotes",
    "float_parsing": "expected a number, without quotes",
}
"""What a file must hold, in the words of TOML, where the checker speaks of Python's types."""


def _problem(error: Any, kind: type | None = None) -> str:
    path = [
        str(part) for part in error["loc"] if part not in ("[key]", "SecretRef", "KeyRef", "LiteralSecret")
    ]
    where = ".".join(path) or "(top)"
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown key.{_meant(path[-1], _known(path[:-1]))}"
    if error["type"] == "unexpected_keyword_argument":
        return f"{where}: unknown key.{_meant(path[-1], _fields(kind, error['loc'][:-1]))}"
    if error["type"] == "missing":
        return f"{where}: is missing."
    text = _EXPECTED.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {text[:1].lower()}{text[1:]}."


def _fields(kind: Any, path: tuple[int | str, ...]) -> list[str]:
    """The keys of a dataclass inside a plugin's Config."""
    for part in path:
        if isinstance(part, int):
            kind = next(iter(get_args(kind)), None)
        elif is_dataclass(kind):
            kind = next((field.type for field in fields(kind) if field.name == part), None)
    return [field.name for field in fields(kind)] if is_dataclass(kind) else []


def _known(path: list[str]) -> list[str]:
    model: Any = Config
    for part in path:
        field = model.model_fields.get(part) if _is_table(model) else None
        if field is None:
            return []
        model = field.annotation
    return list(model.model_fields) if _is_table(model) else []


def _is_table(model: Any) -> bool:
    return isinstance(model, type) and issubclass(model, BaseModel)


def _meant(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    if near:
        return f' Did you mean "{near[0]}"?'
    return f" Known here: {', '.join(known)}." if known else ""
