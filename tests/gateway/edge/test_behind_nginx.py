"""The same attacks through nginx: what it lets through is answered as it is without it."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
from edge_fakes import Bench, post, running, status_of
from test_raw_sockets_framing import BODY, CANARY, REFUSED, assert_well

from gateway.edge.limits import EdgeLimits

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

CONFIGURATION = """
daemon off; worker_processes 1; master_process off; pid {folder}/pid; error_log {folder}/error.log emerg;
events {{ worker_connections 64; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    upstream gateway {{ server 127.0.0.1:{upstream}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://gateway; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_buffering off; proxy_request_buffering off;
        }}
    }}
}}
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def behind_nginx(folder: Path) -> AsyncIterator[tuple[Bench, int]]:
    """A data plane that trusts the nginx in front of it, and nginx's port."""
    limits = EdgeLimits(trusted_proxies=(ip_network("127.0.0.1"),))
    async with running(limits) as bench:
        port = free_port()
        file = folder / "nginx.conf"
        file.write_text(CONFIGURATION.format(folder=folder, upstream=bench.port, port=port))
        assert NGINX is not None
        process = await asyncio.create_subprocess_exec(
            NGINX, "-p", str(folder), "-c", str(file), stderr=asyncio.subprocess.DEVNULL
        )
        try:
            for _ in range(200):
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    break
            yield bench, port
        finally:
            process.terminate()
            await process.wait()


async def through(port: int, data: bytes, wait_s: float = 2.0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), wait_s)
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
        return b""
    finally:
        writer.close()


async def test_calls_pass_and_the_callers_own_address_is_seen(tmp_path: Path) -> None:
    async with behind_nginx(tmp_path) as (bench, port):
        for _ in range(3):
            assert status_of(await through(port, post())) == 200
        assert (
            status_of(await through(port, post("/v1/chat/completions", BODY, "X-Forwarded-For: 7.7.7.7")))
            == 200
        )
        assert bench.pipeline.peers[-1] == "7.7.7.7"  # nginx itself, also at 127.0.0.1, is a trusted peer
        assert len(bench.pipeline.calls) == 4


async def test_a_stream_passes_chunk_by_chunk(tmp_path: Path) -> None:
    async with behind_nginx(tmp_path) as (bench, port):
        bench.pipeline.length = None
        bench.pipeline.parts = [b"data: one\n\n"]
        bench.pipeline.hold = asyncio.Event()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post())
        await asyncio.wait_for(reader.readuntil(b"data: one\n\n"), 2)
        bench.pipeline.hold.set()
        await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 2)
        writer.close()


# nginx writes these anew as proper requests: its own Host, HTTP/1.1, an origin form, no fragment.
REPAIRED = {"HTTP/1.0 on a call", "HTTP/1.2", "bare line feeds", "absolute form", "absolute form, other host"}
REPAIRED |= {name for name in REFUSED if name.startswith("host ")}


async def test_no_attack_gets_further_through_nginx_than_without_it(tmp_path: Path) -> None:
    async with behind_nginx(tmp_path) as (bench, port):
        for name, (data, direct) in REFUSED.items():
            before = len(bench.pipeline.peers)
            answer = await through(port, data, 0.2)  # nginx waits for the rest of some
            refused = {direct, 0, 400, 414, 501, 505}
            assert status_of(answer) in (refused | {200} if name in REPAIRED else refused), name
            assert len(bench.pipeline.peers) - before <= 1, name
            assert CANARY.encode() not in answer
        assert len(bench.pipeline.calls) == 2  # the two of the repaired that are calls
        await assert_well(bench)
        assert status_of(await through(port, post())) == 200
