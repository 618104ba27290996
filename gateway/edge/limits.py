"""Every limit of the client's side in one place, each with its unit."""

from dataclasses import dataclass

from gateway.contracts import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLimits:
    """What a client may take of our time and memory. Names end in their unit; counts have none.

    Attributes:
        head_s: from the first byte of a request (or the opening of the connection) to the end of its head.
        body_s, body_bytes_per_s: a body must be complete body_s + received bytes / body_bytes_per_s
            after its reading began.
        idle_s: how long a connection is kept between two calls.
        stall_s: how long a client may not read while bytes wait for it.
        linger_s, linger_bytes: how long and how much of an unwanted body is thrown away so that the
            client can read our answer before the connection closes.
        max_body_bytes: of a request's body.
        max_head_bytes: of a request line with all header fields; one line or field: max_line_bytes.
        max_buffer_bytes: what waits for a client in memory before the upstream is paused.
        max_connections_per_address: an IPv6 /64 counts as one address; trusted proxies are not counted.
        max_pipelined: requests read ahead on one connection.
        trusted_proxies: peers whose x-forwarded-for is believed.
    """

    head_s: float = 15.0
    body_s: float = 10.0
    body_bytes_per_s: int = 16 * 1024
    idle_s: float = 75.0
    stall_s: float = 30.0
    linger_s: float = 2.0
    linger_bytes: int = 1024 * 1024
    max_body_bytes: int = 32 * 1024 * 1024
    max_head_bytes: int = 64 * 1024
    max_line_bytes: int = 8190
    max_fields: int = 128
    max_buffer_bytes: int = 256 * 1024
    max_connections: int = 8192
    max_connections_per_address: int = 2048
    max_open_calls: int = 4096
    max_pipelined: int = 8
    trusted_proxies: tuple[Network, ...] = ()
