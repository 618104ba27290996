"""Wiring: what the sections of the configuration mean for the parts that are built from them."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from gateway import config as configuration
from gateway import flow, workers
from gateway.config import Config, ConfigError
from gateway.edge.limits import EdgeLimits
from gateway.edge.transport import Transport
from gateway.edge.upstream_connection import TransportLimits
from gateway.watch.access_log import AccessLog


def address(text: str) -> tuple[str, int]:
    """HOST:PORT as host and port."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


@contextmanager
def listening(place: str, address: str) -> Iterator[None]:
    """Tell an address that cannot be had in one line. place: the key that names it."""
    try:
        yield
    except OSError as error:
        raise workers.unavailable(place, address, error) from None


def tls(config: Config) -> ssl.SSLContext | None:
    """The certificate of the data plane; None: plain HTTP.

    Raises:
        ConfigError: it cannot be read, or only half of it is named.
    """
    certificate, key = config.server.tls_certificate, config.server.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ConfigError(["server.tls_certificate and server.tls_key: give both or neither"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError):
        raise ConfigError(["server.tls_certificate: the certificate or its key cannot be read"]) from None
    return context


def access_log(config: Config, worker: int) -> AccessLog | None:
    """Each process has a file of its own, because each rotates its own."""
    if config.log.access is None:
        return None
    path = Path(config.log.access)
    path = path.with_name(f"{path.name}-{worker}") if worker else path
    return AccessLog(path, config.log.access_max, config.log.access_files)


def edge_limits(config: Config) -> EdgeLimits:
    """[server] as limits of the client's side."""
    server = config.server
    return EdgeLimits(
        head_s=server.header_timeout,
        body_s=server.body_timeout,
        body_bytes_per_s=server.body_rate,
        linger_s=server.linger_timeout,
        linger_bytes=server.max_linger,
        max_head_bytes=server.max_head,
        max_line_bytes=server.max_line,
        max_fields=server.max_fields,
        max_buffer_bytes=server.max_buffer,
        max_pipelined=server.max_pipelined,
        idle_s=server.keepalive_timeout,
        stall_s=server.write_timeout,
        max_body_bytes=server.max_body,
        max_connections=server.max_connections,
        max_connections_per_address=server.max_connections_per_address,
        max_open_calls=server.max_open_calls,
        trusted_proxies=_networks(server.trusted_proxies),
    )


def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(map(ip_network, texts))
    except ValueError:
        raise ConfigError(
            ['server.trusted_proxies: expected addresses or networks such as "10.0.0.0/8"']
        ) from None


def _transport_limits(config: Config) -> TransportLimits:
    upstream = config.upstream
    return TransportLimits(
        connect_timeout_s=upstream.connect_timeout,
        first_byte_timeout_s=upstream.first_byte_timeout,
        gap_timeout_s=upstream.gap_timeout,
        total_timeout_s=upstream.total_timeout,
        idle_timeout_s=upstream.idle_timeout,
        stale_window_s=upstream.stale_window,
        max_waiting_per_host=upstream.max_waiting_per_host,
        wait_timeout_s=upstream.wait_timeout,
        buffer_bytes=upstream.max_buffer,
        answer_bytes=upstream.max_answer,
        max_connections_per_host=upstream.max_connections_per_host,
        max_idle_per_host=upstream.max_idle_per_host,
        ca_file=upstream.ca_file,
    )


def transport(config: Config) -> Transport:
    """The way to the providers.

    Raises:
        ConfigError: the file of authorities cannot be read.
    """
    try:
        return Transport(_transport_limits(config), allowed=_private_origins(config))
    except (OSError, ssl.SSLError):
        raise ConfigError(["upstream.ca_file: cannot be read as certificates in PEM form"]) from None


def reaches(config: Config) -> tuple[Any, ...]:
    """What a transport is made of: when it differs after a reload, a new one is needed."""
    return config.upstream, _private_origins(config)


def _private_origins(config: Config) -> frozenset[tuple[str, int]]:
    tables = [table for table in config.providers.values() if table.allow_private]
    origins = {flow.origin_of(str(configuration.plugin_keys(table).get("base_url", ""))) for table in tables}
    return frozenset(origin for origin in origins if origin is not None)


def shown(config: Config) -> dict[str, Any]:
    """The configuration without its secrets: where they are, never what they are."""

    def hide(value: Any) -> Any:
        if isinstance(value, configuration.LiteralSecret):
            return "<secret>"
        if isinstance(value, BaseModel):
            return {name: hide(getattr(value, name)) for name in type(value).model_fields}
        if isinstance(value, dict):
            return {name: hide(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [hide(part) for part in value]
        return value

    hidden: dict[str, Any] = hide(config)
    return hidden
