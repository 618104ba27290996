"""The listener with a certificate: TLS 1.2 and newer, nothing else, and mistakes told at once."""

import datetime
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import config, rehearsal
from gateway.config import ConfigError
from tests.installation import Installation


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    own, private = folder / "cert.pem", folder / "key.pem"
    own.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return own, private


@contextmanager
def trusting(certificate: Path, version: ssl.TLSVersion) -> Iterator[ssl.SSLContext]:
    """A client that believes this certificate and speaks one version of TLS."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are what is tried
        context = ssl.create_default_context(cafile=str(certificate))
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        yield context


async def ask(gateway: Installation, url: str, tls: ssl.SSLContext | bool) -> tuple[int, bytes]:
    body = {"model": "echo-1", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    fields = {"authorization": f"Bearer {gateway.key}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json=body, headers=fields, ssl=tls) as answer,
    ):
        return answer.status, await answer.read()


def tree(own: Path | str, private: Path | str) -> dict[str, dict[str, object]]:
    return {"server": {"tls_certificate": str(own), "tls_key": str(private)}}


async def test_calls_are_served_over_tls_of_today_and_nothing_older(
    tmp_path: Path, files: tuple[Path, Path]
) -> None:
    gateway = Installation(tmp_path / "one", tree(*files))
    await gateway.start()
    url = gateway.url.replace("http:", "https:")
    try:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with trusting(files[0], version) as context:
                status, body = await ask(gateway, url, context)
                assert (status, body[-14:]) == (200, b"data: [DONE]\n\n")
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            with trusting(files[0], version) as context, pytest.raises(aiohttp.ClientConnectionError):
                await ask(gateway, url, context)
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask(gateway, gateway.url, False)  # plain http
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await ask(gateway, url, True)  # nobody else has signed it
        assert len(await gateway.records(2)) == 2
    finally:
        await gateway.stop()


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        ("own", None, "give both or neither"),
        (None, "private", "give both or neither"),
        ("own", "own", "cannot be read"),
        ("nowhere", "private", "cannot be read"),
    ],
)
async def test_a_certificate_that_cannot_be_used_is_told_before_the_start(
    tmp_path: Path, files: tuple[Path, Path], certificate: str | None, key: str | None, said: str
) -> None:
    places = {"own": str(files[0]), "private": str(files[1]), "nowhere": str(tmp_path / "nowhere")}
    server = {
        name: places[value]
        for name, value in (("tls_certificate", certificate), ("tls_key", key))
        if value is not None
    }
    with pytest.raises(ConfigError, match=said):
        await rehearsal.try_out(config.parse({"server": server}, "test", {}))
