"""What the tests of the transport share: both event loops, a permit, requests, certificates."""

import asyncio
import datetime
import inspect
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.content import Content
from gateway.contracts import Answer, Headers, UpstreamRequest
from gateway.edge.timers import Wheel
from gateway.edge.transport import Transport, TransportLimits, tls_context
from gateway.names import Slug
from gateway.usage import Nanos

Test = Callable[..., Coroutine[Any, Any, None]]
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def both_loops(test: Test) -> Callable[..., None]:
    """Run a test on each event loop; it fails, too, when the loop had to report an exception."""

    def run(loop_name: str, **arguments: Any) -> None:
        reports: list[dict[str, Any]] = []
        with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
            runner.get_loop().set_exception_handler(lambda _, report: reports.append(report))
            runner.run(asyncio.wait_for(test(**arguments), 10))
        assert reports == []

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    own = inspect.signature(test)
    loop = inspect.Parameter("loop_name", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = own.replace(parameters=[*own.parameters.values(), loop])  # type: ignore[attr-defined]
    both: Callable[..., None] = pytest.mark.parametrize("loop_name", list(LOOPS))(run)
    return both


@dataclass(frozen=True)
class Hold:
    """A permit."""

    id: Slug = Slug("hold-1")
    amount: Nanos = Nanos(1000)


HOLD = Hold()
FIELDS: Headers = (("authorization", "Bearer sk-canary"), ("content-type", "application/json"))


def request(url: str, body: bytes = b'{"model":"m"}', path: str = "/v1/chat") -> UpstreamRequest:
    return UpstreamRequest(method="POST", url=url + path, headers=FIELDS, body=Content(body))


@cache
def plain_context() -> ssl.SSLContext:
    """One TLS context for all tests that need none of their own: making it takes its time."""
    return tls_context(None)


@asynccontextmanager
async def transport_to(*ports: int, tick_s: float = 0.01, **options: Any) -> AsyncIterator[Transport]:
    """A transport that may speak http with these ports of this machine; options are limits or its own."""
    own: dict[str, Any] = {name: options.pop(name) for name in ("lookup", "wheel") if name in options}
    own.setdefault("wheel", Wheel(tick_s))
    if "ca_file" not in options:
        own["tls"] = plain_context()
    hosts = ("127.0.0.1", "localhost", "api.example.test")
    allowed = frozenset((host, port) for host in hosts for port in ports)
    transport = Transport(TransportLimits(**options), allowed, **own)
    try:
        yield transport
    finally:
        await transport.close()
        own["wheel"].close()
        assert transport.open_connections == 0
        await asyncio.sleep(0)


async def whole(answer: Answer) -> bytes:
    pieces = []
    while piece := await answer.read():
        pieces.append(piece)
    return b"".join(pieces)


async def call(transport: Transport, asked: UpstreamRequest) -> tuple[int, bytes]:
    """One call from its opening to its release."""
    answer = await transport.open(asked, HOLD)
    try:
        return answer.status, await whole(answer)
    finally:
        transport.release(answer)


class Certificates:
    """A local authority, and certificates by it, as PEM files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "local authority")])
        own = self._sign(self._name, self._key, ca=True, days=10, names=())
        self.file = str(folder / "authority.pem")
        Path(self.file).write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def server(self, *names: str, days: int = 10, trusted: bool = True) -> ssl.SSLContext:
        """The TLS context of a server with a certificate for these names; days may be in the past."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        signed = self._sign(subject, key, ca=False, days=days, names=names, by=self._key if trusted else key)
        file = self._folder / f"server-{key.private_numbers().private_value % 10**9}.pem"
        file.write_bytes(
            signed.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        ca: bool,
        days: int,
        names: tuple[str, ...],
        by: ec.EllipticCurvePrivateKey | None = None,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=20))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            listed = [
                x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
                for name in names
            ]
            builder = builder.add_extension(x509.SubjectAlternativeName(listed), critical=False)
        return builder.sign(by or self._key, hashes.SHA256())
